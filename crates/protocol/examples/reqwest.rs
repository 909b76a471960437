//! Uploads a file over reqwest with `partwise-protocol` alone: parts in parallel, resumed when it is started again.
//!
//! ```sh
//! cargo run -p partwise-protocol --example reqwest -- http://127.0.0.1:8080/v1 KEY FILE PURPOSE
//! ```
#![allow(clippy::print_stdout, reason = "it is what a command does")]

use std::{
    collections::HashMap, env, fs, io, os::unix::fs::FileExt, sync::Arc, time::Instant, time::SystemTime,
};

use http::{Request, Response};
use partwise_protocol::{Api, Credential, Dialect, machine::*, transport::*, upload::*};
use tokio::{task::JoinSet, time::sleep_until};

type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [base, key, path, purpose] = &arguments[..] else { return Err("BASE-URL KEY FILE PURPOSE".into()) };
    let (api, key) = (Api::with_base(base, Dialect::OpenAi)?, Credential::key(key)?);
    let (file, saved) = (Arc::new(fs::File::open(path)?), format!("{path}.checkpoint"));
    let stamp = || Ok::<_, io::Error>(SourceStamp::of(&file.metadata()?));
    let plan = Plan::new(path, "application/octet-stream", purpose.as_str().into());
    let entropy = std::array::from_fn(|_| fastrand::u8(..));
    let mut machine = match fs::read(&saved) {
        Ok(json) => {
            UploadMachine::resume(api.clone(), plan, Checkpoint::from_json(&json)?, stamp()?, entropy)?
        }
        Err(_) => UploadMachine::new(api.clone(), plan, stamp()?, entropy)?,
    };
    let (client, origin) = (reqwest::Client::new(), Instant::now());
    let now = || Now::since(origin, Instant::now(), SystemTime::now());
    let (mut sending, mut handles) = (JoinSet::new(), HashMap::new());
    loop {
        match machine.poll(now()) {
            Action::Start { id, task: UploadTask::Send { mut request, .. } } => {
                key.apply(&api, &mut request);
                let sent = send(client.clone(), request, file.clone());
                handles.insert(id, sending.spawn(async move { (id, sent.await) }));
            }
            Action::Start { id, task: UploadTask::Stamp } => machine.handle_stamped(id, Ok(stamp()?)),
            Action::Start { id, .. } => machine.handle_unsupported(id, now()),
            Action::Abandon(id) => drop(handles.remove(&id).map(|handle| handle.abort())),
            Action::Save(saving) => {
                machine.handle_saved(fs::write(&saved, saving.to_json()).map_err(SaveError::new));
            }
            Action::Wait { until } => tokio::select! {
                // One that was aborted says nothing.
                Some(ended) = sending.join_next() => match ended {
                    Ok((id, Ok(response))) => machine.handle_response(id, response, None, now()),
                    Ok((id, Err(error))) => machine.handle_failure(id, Failure::of(error, kind), now()),
                    Err(_) => {}
                },
                () = sleep_until((origin + until.unwrap_or_default()).into()), if until.is_some() => {}
            },
            Action::Done(result) => {
                println!("{}", result?.id);
                let _ = fs::remove_file(saved);
                return Ok(());
            }
        }
    }
}

fn kind(error: &(dyn std::error::Error + 'static)) -> Option<FailureKind> {
    match error.downcast_ref::<reqwest::Error>() {
        Some(error) if error.is_connect() => Some(FailureKind::Connect),
        Some(error) if error.is_timeout() => Some(FailureKind::Timeout),
        Some(_) => Some(FailureKind::Interrupted),
        None => FailureKind::of(error),
    }
}

async fn send(
    client: reqwest::Client,
    request: Request<Body>,
    file: Arc<fs::File>,
) -> Result<Response<bytes::Bytes>, Error> {
    let (head, body) = request.into_parts();
    let whole = body.read_with(|range, room| file.read_exact_at(room, range.start()))?;
    let (head, body) =
        Response::from(client.execute(Request::from_parts(head, whole).try_into()?).await?).into_parts();
    Ok(Response::from_parts(head, http_body_util::BodyExt::collect(body).await?.to_bytes()))
}
