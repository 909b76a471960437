//! The folder that `--state` names, seen from outside.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use partwise_protocol::upload::Checkpoint;
use serde_json::Value;

/// The folder.
pub(crate) struct State(pub(crate) PathBuf);

/// What the checkpoint of an upload in parts says.
#[derive(Clone, Debug)]
pub(crate) struct Saved {
    pub(crate) upload: String,
    /// The parts that the service has acknowledged, by their offset in the file.
    pub(crate) parts: BTreeMap<u64, String>,
}

impl State {
    /// The one checkpoint that is there.
    pub(crate) fn saved(&self) -> Option<Saved> {
        Some(Saved::of(&self.json()?))
    }

    /// Whether the checkpoint says that the request that makes the file may have been sent.
    pub(crate) fn is_committing(&self) -> bool {
        self.json().is_some_and(|json| Checkpoint::from_json(&json).unwrap().may_have_made_a_file())
    }

    /// How much is written of the checkpoint and of the one that is to take its place: when it changes, a run is at work
    /// on it.
    pub(crate) fn written(&self) -> BTreeMap<String, u64> {
        let length = |name: &String| fs::metadata(Path::new(&self.0).join(name)).ok().map(|data| data.len());
        self.names().into_iter().filter_map(|name| Some((name.clone(), length(&name)?))).collect()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let names = match fs::read_dir(&self.0) {
            // The first run that wants it makes it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            names => names.unwrap(),
        };
        names.map(|name| name.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn json(&self) -> Option<Vec<u8>> {
        let names = self.names();
        let mut names = names.iter().filter(|name| name.ends_with(".checkpoint"));
        let name = names.next()?;
        assert_eq!(names.next(), None, "there is one upload");
        match fs::read(Path::new(&self.0).join(name)) {
            // Just now complete.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            json => Some(json.unwrap()),
        }
    }
}

impl Saved {
    fn of(json: &[u8]) -> Self {
        let checkpoint = Checkpoint::from_json(json).expect("a kill leaves no half checkpoint");
        let json: Value = serde_json::to_value(checkpoint).unwrap();
        let route = &json["route"]["parts"];
        Self {
            upload: route["upload_id"].as_str().unwrap().to_owned(),
            parts: route["acknowledged"]
                .as_array()
                .unwrap()
                .iter()
                .map(|part| (part["start"].as_u64().unwrap(), part["id"].as_str().unwrap().to_owned()))
                .collect(),
        }
    }
}
