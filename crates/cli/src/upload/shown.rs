//! What a person sees while a file goes up.

use std::time::Duration;

use partwise_models::File;
use partwise_protocol::{Phase, Progress, Proof, Warning};
use tokio::sync::watch;

use crate::{
    notices::{LONG, Notices},
    progress::Bar,
    report::say,
};

/// Says how a file is known to be the one that was uploaded, when no answer said so.
pub(super) fn say_proof(file: &File, proof: Proof) {
    let id = &file.id;
    match proof {
        Proof::Content => say(&format!(
            "the answer was lost; {id} in the service's list has the same content, so it is the file"
        )),
        Proof::UploadTime => say(&format!(
            "the answer was lost; {id} in the service's list has the name, the size and the time of this upload, so it is the file"
        )),
        Proof::DerivedId => say(&format!(
            "the answer was lost; the identifier of {id} in the service's list is derived from this upload's, so it is the file"
        )),
        _ => {}
    }
}

/// Shows how far the upload is until its channel closes.
///
/// `began` is how it was before: with the upload that an earlier run began, if there is one.
pub(super) async fn show(
    mut progress: watch::Receiver<Progress>,
    began: Progress,
    bar: &Bar,
    notices: &Notices,
) {
    let (mut upload, mut phase) = (began.upload_id, began.phase);
    let (mut warned, mut told, mut settling) = (false, 0, Duration::ZERO);
    while progress.changed().await.is_ok() {
        let now = progress.borrow_and_update().clone();
        bar.set(now.bytes_acknowledged + now.bytes_in_flight);
        let retry = now.latest_retry.filter(|retry| retry.number > told);
        if let Some(retry) = retry {
            told = retry.number;
            notices.retry(&retry);
        } else if now.phase == Phase::Settling && phase != Phase::Settling {
            notices.say("the service does not say which file it made: looking for it in its list");
        }
        phase = now.phase;
        let pause = now.statistics.settling.saturating_sub(settling);
        settling = now.statistics.settling;
        if pause > LONG {
            let seconds = pause.as_secs_f64().round();
            notices.say(&format!("the service's list does not show the file: looking again in {seconds} s"));
        }
        let retries = now.statistics.retries.total;
        if retries > 0 {
            bar.note(&format!("{retries} sent again"));
        }
        if upload.is_some() && now.upload_id.is_some() && upload != now.upload_id {
            bar.say("that upload has expired or was cancelled on the service: starting over");
        }
        if now.upload_id.is_some() {
            upload = now.upload_id;
        }
        if let (Some(warning), false) = (now.warning.and_then(in_words), warned) {
            warned = true;
            bar.say(&warning);
        }
    }
}

/// A warning in words, if people can do something about it.
fn in_words(warning: Warning) -> Option<String> {
    Some(match warning {
        Warning::TooSlow { needed, left } => {
            let (needed, left) = (needed.as_secs(), left.as_secs());
            format!(
                "warning: at this rate the rest takes {needed} s, but the service gives the upload only {left} s more"
            )
        }
        Warning::PastExpiry => {
            "warning: by this machine's clock the upload has expired; the service decides whether it has"
                .into()
        }
        _ => return None,
    })
}
