//! Uploads a file over reqwest with `partwise-protocol` alone: parts in parallel, resumed when it is started again.
//! Usage: `cargo run -p partwise-protocol --example reqwest -- http://127.0.0.1:8080/v1 KEY FILE PURPOSE`
#![allow(clippy::print_stdout, reason = "it is what a command does")]

use std::{collections::HashMap, error, fs, os::unix::fs::FileExt, sync::Arc, time::*};

use futures_util::stream;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use partwise_protocol::{Api, Credential, Dialect, machine::*, transport::*, upload::*};
use reqwest::{Body, Client, redirect::Policy};
use tokio::{task::JoinSet, time::sleep_until};

#[tokio::main]
async fn main() -> Result<(), Box<dyn error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [base, key, path, purpose] = &arguments[..] else { return Err("BASE-URL KEY FILE PURPOSE".into()) };
    let (api, key) = (Api::with_base(base, Dialect::OpenAi)?, Credential::key(key)?);
    let (file, saved) = (Arc::new(fs::File::open(path)?), format!("{path}.checkpoint"));
    let stamp = || Ok::<_, SourceError>(SourceStamp::of(&file.metadata()?));
    let plan = Plan::new(path, "application/octet-stream", purpose.as_str().into());
    let entropy = std::array::from_fn(|_| fastrand::u8(..));
    let mut machine = match fs::read(&saved).map(|json| Checkpoint::from_json(&json)) {
        Ok(checkpoint) => UploadMachine::resume(api.clone(), plan, checkpoint?, stamp()?, entropy)?,
        Err(_) => UploadMachine::new(api.clone(), plan, stamp()?, entropy)?,
    };
    let client = Client::builder().redirect(Policy::none()).timeout(Duration::from_secs(600)).build()?;
    let (origin, mut in_flight, mut handles) = (Instant::now(), JoinSet::new(), HashMap::new());
    let now = || Now::since(origin, Instant::now(), SystemTime::now());
    loop {
        match machine.poll(now()) {
            Action::Start { id, task: UploadTask::Send { mut request, answer_limit, .. } } => {
                key.apply(&api, &mut request);
                let file = file.clone();
                let read = move |range: SourceRange, room: &mut [u8]| file.read_exact_at(room, range.start());
                let sending = request.map(|body| Body::wrap_stream(stream::iter(body.into_chunks(read))));
                let sent = client.execute(sending.try_into()?);
                let answer = async move {
                    let (head, body) = http::Response::from(sent.await?).into_parts();
                    let body = Limited::new(body, answer_limit as usize).collect().await?;
                    Ok(http::Response::from_parts(head, body.to_bytes()))
                };
                handles.insert(id, in_flight.spawn(async move { (id, answer.await) }));
            }
            Action::Start { id, task: UploadTask::Stamp } => machine.handle_stamped(id, stamp()),
            Action::Start { id, .. } => machine.handle_unsupported(id, now()),
            Action::Abandon(id) => drop(handles.remove(&id).map(|handle| handle.abort())),
            Action::Save(checkpoint) => machine.handle_saved(save(&saved, &checkpoint)),
            Action::Wait { until } => tokio::select! {
                Some(ended) = in_flight.join_next() => if let Ok((id, sent)) = ended {
                    machine.handle_sent(id, sent.map_err(|error| Failure::of(error, kind)), now());
                },
                () = sleep_until((origin + until.unwrap_or_default()).into()), if until.is_some() => {}
            },
            Action::Done(Err(error)) if machine.is_resumable_after(&error) => return Err(error.into()),
            Action::Done(result) => {
                let _ = fs::remove_file(saved);
                println!("{}", result?.id);
                return Ok(());
            }
        }
    }
}

fn save(path: &str, checkpoint: &Checkpoint) -> Result<(), SaveError> {
    let new = format!("{path}.new");
    fs::write(&new, checkpoint.to_json())?;
    fs::File::open(&new)?.sync_all()?;
    Ok(fs::rename(new, path)?)
}

fn kind(error: &(dyn error::Error + 'static)) -> Option<FailureKind> {
    match error.downcast_ref::<reqwest::Error>() {
        Some(error) if error.is_connect() => Some(FailureKind::Connect),
        Some(error) if error.is_timeout() => Some(FailureKind::Timeout),
        Some(_) => Some(FailureKind::Interrupted),
        None if error.is::<LengthLimitError>() => Some(FailureKind::AnswerTooLong),
        None => FailureKind::of(error),
    }
}
