//! The `partwise` command: arguments in, the service's objects out. It decides nothing about the protocol and
//! holds no file in memory; both are the crates' below. The project's `docs/guides/command.md` is its guide.

#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
compile_error!("the command speaks TLS: turn on the feature `ring` or the feature `aws-lc-rs`");

mod account;
mod args;
mod check;
mod connect;
mod descriptors;
mod download;
mod duration;
mod environment;
mod explain;
mod files;
mod interrupt;
mod key_file;
mod log;
mod notices;
mod output;
mod progress;
mod purpose;
mod report;
mod screen;
mod serve;
mod service;
mod size;
mod store;
mod unfinished;
mod upload;
mod uploads;
mod usage;

use std::process::ExitCode;

use crate::{
    args::{Arguments, Command, FilesCommand, UploadsCommand},
    connect::Connection,
    environment::{Environment, ProcessEnvironment},
    report::Report,
};

/// Threads that send and receive. Sources are read on them too: nothing else waits for them. `serve` has its own.
const WORKERS: usize = 2;

/// The variables whose values no output may show.
const SECRETS: [&str; 3] = ["OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN"];

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        let report = Report::failed(format!("this is a bug in partwise: {panic}")).hint("please report it");
        screen::report(&shown(report, &ProcessEnvironment).lines());
    }));
    let done = match Arguments::read() {
        Ok(arguments) => run(&arguments),
        Err(asked) if !asked.use_stderr() => {
            // Help or the version; a reader that went away has seen enough.
            let _ = asked.print();
            return ExitCode::SUCCESS;
        }
        Err(refused) => Err(usage::report(&refused)),
    };
    match done {
        Ok(()) => {
            screen::finish();
            ExitCode::SUCCESS
        }
        Err(report) => {
            let report = shown(report, &ProcessEnvironment);
            screen::report(&report.lines());
            report.exit_code()
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Report> {
    log::start(&ProcessEnvironment, matches!(arguments.command, Command::Serve(_)))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(|cause| Report::because("cannot start", &cause))?;
    let done = runtime.block_on(dispatch(arguments));
    // The end of the runtime fails what others still wait for, such as reads of the embedded server.
    screen::close();
    // What still runs on a thread for blocking work must not hold up the end.
    runtime.shutdown_background();
    done
}

async fn dispatch(arguments: &Arguments) -> Result<(), Report> {
    if let Command::Serve(serve) = &arguments.command {
        arguments.service.refuse_for_serve()?;
        return serve::run(serve, &arguments.service.store_settings(), &ProcessEnvironment).await;
    }
    if let Command::Uploads(UploadsCommand::List(list)) = &arguments.command {
        arguments.service.refuse_without_service("uploads list")?;
        return uploads::list(list);
    }
    if let Command::Check(check) = &arguments.command {
        arguments.service.refuse_without_service("check")?;
        return check::run(check);
    }
    let service = arguments.service.resolve(&ProcessEnvironment)?;
    let connection = Connection::new(service, &ProcessEnvironment);
    match &arguments.command {
        Command::Upload(upload) => Box::pin(upload::run(upload, connection)).await,
        Command::Files(files) => run_files(files, connection).await,
        Command::Uploads(UploadsCommand::Cancel(cancel)) => {
            Box::pin(uploads::cancel(cancel, connection)).await
        }
        Command::Uploads(UploadsCommand::List(_)) | Command::Check(_) | Command::Serve(_) => Ok(()),
    }
}

async fn run_files(
    files: &FilesCommand,
    connection: Connection<'_, ProcessEnvironment>,
) -> Result<(), Report> {
    match files {
        FilesCommand::List(list) => files::list(list, connection).await,
        FilesCommand::Get(get) => files::get(get, connection).await,
        FilesCommand::Delete(delete) => files::delete(delete, connection).await,
        FilesCommand::Import(import) => files::import(import, connection).await,
        FilesCommand::Download(download) => download::run(download, connection).await,
    }
}

/// A report as it may be shown: without any secret of the environment.
fn shown(report: Report, environment: &impl Environment) -> Report {
    let secrets: Vec<_> = SECRETS.iter().filter_map(|name| environment.get(name).ok().flatten()).collect();
    report.without(&secrets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_of_the_environment_is_in_what_is_shown() {
        let environment: &[(&str, &str)] =
            &[("OPENAI_API_KEY", "key-of-openai"), ("AZURE_OPENAI_AD_TOKEN", "token-of-azure")];
        let report = Report::failed("key-of-openai or").hint("token-of-azure");
        let lines = shown(report, &environment).lines();
        assert_eq!(lines, "error: [redacted] or\nhint: [redacted]\n");
    }
}
