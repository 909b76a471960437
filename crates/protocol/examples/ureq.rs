//! Uploads a file over ureq with `partwise-protocol` alone, without async: parts in parallel, each on a thread, resumed when it is
//! started again. Usage: `cargo run -p partwise-protocol --example ureq -- http://127.0.0.1:8080/v1 KEY FILE PURPOSE`
#![allow(clippy::print_stdout, reason = "it is what a command does")]

use std::{env, error, fs, os::unix::fs::FileExt, sync::Arc, sync::mpsc, thread, time::*};

use partwise_protocol::{Api, Credential, Dialect, machine::*, transport::*, upload::*};
use ureq::{Agent, SendBody, Timeout};

fn main() -> Result<(), Box<dyn error::Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
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
    let timeout = Duration::from_secs(600);
    let agent =
        Agent::config_builder().http_status_as_error(false).max_redirects(0).timeout_per_call(Some(timeout));
    let agent = agent.build().new_agent();
    let (origin, (report, reports)) = (Instant::now(), mpsc::channel());
    let now = || Now::since(origin, Instant::now(), SystemTime::now());
    loop {
        match machine.poll(now()) {
            Action::Start { id, task: UploadTask::Send { mut request, answer_limit, .. } } => {
                key.apply(&api, &mut request);
                let (agent, file, report) = (agent.clone(), file.clone(), report.clone());
                let read = move |range: SourceRange, room: &mut [u8]| file.read_exact_at(room, range.start());
                let send = move || {
                    let sending = request.map(|body| SendBody::from_owned_reader(body.into_chunks(read)));
                    let (head, mut body) = agent.run(sending)?.into_parts();
                    let body = body.with_config().limit(answer_limit).read_to_vec()?;
                    Ok(http::Response::from_parts(head, body.into()))
                };
                thread::spawn(move || drop(report.send((id, send().map_err(failure)))));
            }
            Action::Start { id, task: UploadTask::Stamp } => machine.handle_stamped(id, stamp()),
            Action::Start { id, .. } => machine.handle_unsupported(id, now()),
            // The machine takes no notice of the end of what it has abandoned.
            Action::Abandon(_) => {}
            Action::Save(checkpoint) => machine.handle_saved(save(&saved, &checkpoint)),
            Action::Wait { until } => {
                let wait = until.map_or(timeout, |until| until.saturating_sub(origin.elapsed()));
                if let Ok((id, sent)) = reports.recv_timeout(wait) {
                    machine.handle_sent(id, sent, now());
                }
            }
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

fn failure(error: ureq::Error) -> Failure {
    Failure::of(error.into_io().into(), |error| match error.downcast_ref::<ureq::Error>() {
        Some(ureq::Error::HostNotFound | ureq::Error::ConnectionFailed) => Some(FailureKind::Connect),
        Some(ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect)) => Some(FailureKind::Connect),
        Some(ureq::Error::Timeout(_)) => Some(FailureKind::Timeout),
        Some(ureq::Error::BodyExceedsLimit(_)) => Some(FailureKind::AnswerTooLong),
        Some(ureq::Error::Protocol(_)) => Some(FailureKind::Interrupted),
        _ => FailureKind::of(error),
    })
}
