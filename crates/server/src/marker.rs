//! The marker of a store: says that a folder or bucket is one, and of which format.

use serde::Deserialize as _;
use serde_json::Value;

use crate::{
    layout,
    open::OpenError,
    record::Marker,
    store::{Store, StoreError},
};

/// The meaning of the marker's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// The format of this release.
    Current,
    /// The format of another.
    Other(u32),
    /// Nothing that a release of this project wrote.
    Foreign,
    /// Empty, or the beginning of a marker, as a power cut leaves it.
    Torn,
}

impl Reading {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
            return if is_torn(bytes) { Self::Torn } else { Self::Foreign };
        };
        match value.is_object().then(|| Marker::deserialize(value)) {
            Some(Ok(Marker { format: Marker::FORMAT, .. })) => Self::Current,
            Some(Ok(Marker { format, .. })) => Self::Other(format),
            _ => Self::Foreign,
        }
    }

    /// Refuses what this release cannot work with; `marker` is where it stands.
    pub(crate) fn check(self, marker: &str) -> Result<(), OpenError> {
        let marker = marker.to_owned();
        match self {
            Self::Current | Self::Torn => Ok(()),
            Self::Other(found) => Err(OpenError::Format { marker, found, known: Marker::FORMAT }),
            Self::Foreign => Err(OpenError::NoMarker { marker }),
        }
    }
}

/// Says whether these bytes, which are no JSON, are what a power cut leaves of a marker. Some file systems leave zeros in
/// place of what was not written.
fn is_torn(bytes: &[u8]) -> bool {
    const BEGINNING: &[u8] = b"{\"format\":";
    let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let written = &bytes[..length];
    BEGINNING.starts_with(written) || written.starts_with(BEGINNING)
}

/// Makes sure that the store is of the format that this release works with. Marks one that is new, and one whose marker a
/// power cut has torn; where there is no room even for that, a torn marker stays.
pub(crate) async fn check(store: &Store) -> Result<(), OpenError> {
    let failed = |error: StoreError| OpenError::Store(error.into());
    let shown = store.shown(&layout::marker());
    // Both in one step: another server may replace the marker meanwhile.
    let Some((bytes, written)) = store.read_dated(&layout::marker()).await.map_err(failed)? else {
        if store.must_exist() {
            return Err(OpenError::NoMarkerYet { store: store.name() });
        }
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| OpenError::Store(error.into()))?;
        // Another server may mark it at the same time: one of them does.
        let marker = Marker::new(u128::from_be_bytes(random));
        let _ = store.create(&layout::marker(), &marker).await.map_err(failed)?;
        return Ok(());
    };
    let reading = Reading::of(&bytes);
    reading.check(&shown)?;
    if reading == Reading::Torn {
        if !looks_like_a_store(store).await.map_err(failed)? {
            return Err(OpenError::NoMarker { marker: shown });
        }
        tracing::error!(
            marker = shown,
            bytes = bytes.len(),
            "the store's marker is damaged, and is replaced"
        );
        let marker = Marker::replacing_torn(written);
        match store.replace(&layout::marker(), &marker).await {
            Err(error) if !error.is_full() => return Err(failed(error)),
            _ => {}
        }
    }
    Ok(())
}

/// Says whether the marker stands alone, or beside what this release would have put there.
async fn looks_like_a_store(store: &Store) -> Result<bool, StoreError> {
    let names = store.root_names().await?;
    let is_nobodys = |name: &str| {
        [layout::MARKER, layout::RESERVE, "lost+found"].contains(&name) || name.starts_with(layout::PROBE)
    };
    Ok(names.iter().any(|name| name == layout::TENANTS) || names.iter().all(|name| is_nobodys(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_that_a_power_cut_tore_is_told_from_another_format() {
        for current in [r#"{"format":1}"#, r#"{"format":1,"id":"a"}"#, r#"{"format":1,"news":true}"#] {
            assert_eq!(Reading::of(current.as_bytes()), Reading::Current, "{current}");
        }
        assert_eq!(Reading::of(br#"{"format":2,"news":true}"#), Reading::Other(2));
        for foreign in ["{}", "[1]", r#"{"format":"old"}"#, "null"] {
            assert_eq!(Reading::of(foreign.as_bytes()), Reading::Foreign, "{foreign}");
        }
        for foreign in ["text", "{text", "{ \"format\": ", "\u{0}text"] {
            assert_eq!(Reading::of(foreign.as_bytes()), Reading::Foreign, "{foreign}");
        }
        for torn in [&b""[..], b"{", br#"{"form"#, br#"{"format":1,"id":"a"#, b"{\"form\0\0\0\0", &[0; 12]] {
            assert_eq!(Reading::of(torn), Reading::Torn, "{torn:?}");
        }
    }
}
