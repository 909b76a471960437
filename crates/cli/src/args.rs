//! The arguments of the command: the one description that clap parses and that `--help` prints.

use std::{path::PathBuf, time::Duration};

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

use crate::{duration, progress::Mode, size};

/// Move files of any size into OpenAI and Azure OpenAI, part by part, or serve the same API.
#[derive(Debug, Parser)]
#[command(name = "partwise", version, max_term_width = 100, after_help = ENVIRONMENT, arg_required_else_help = false)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) service: ServiceArguments,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Arguments {
    /// Reads the arguments of this process.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        Self::of(&Self::described().try_get_matches()?)
    }

    fn of(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        Self::from_arg_matches(matches).map_err(|error| error.format(&mut Self::described()))
    }

    /// The description, in which no subcommand shows a flag that it refuses.
    fn described() -> clap::Command {
        let flags: Vec<_> =
            ServiceArguments::augment_args(clap::Command::new("")).get_arguments().cloned().collect();
        let without = |command: clap::Command, kept: &[&str]| {
            let refused = flags.iter().filter(|flag| !kept.contains(&flag.get_id().as_str()));
            // They are still read, to be refused with the reason.
            command.args(refused.map(|flag| flag.clone().hide(true)))
        };
        Self::command().mut_subcommands(|command| match command.get_name() {
            "check" => without(command, &[]),
            "serve" => without(command, &["store", "ca_cert", "no_store_probe"]),
            "uploads" => command.mut_subcommands(|command| match command.get_name() {
                "list" => without(command, &[]),
                _ => command,
            }),
            _ => command,
        })
    }
}

const ENVIRONMENT: &str = "\
Environment:
  OPENAI_API_KEY          the key for openai
  OPENAI_BASE_URL         where openai is, instead of https://api.openai.com/v1
  OPENAI_ORG_ID, OPENAI_PROJECT_ID
                          on whose behalf openai is used
  AZURE_OPENAI_API_KEY    the key for azure and azure-v1
  AZURE_OPENAI_AD_TOKEN   an Entra ID token for them, used before the key
  AZURE_OPENAI_ENDPOINT   where they are: https://NAME.openai.azure.com
  OPENAI_API_VERSION      the api-version for azure
  SSL_CERT_FILE           trust these certificates instead of the system's
  HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY
                          the way to the service
  PARTWISE_ALLOW_PLAIN_HTTP
                          1 has the meaning of --allow-plain-http
  PARTWISE_API_KEYS       the keys that serve takes: KEY or TENANT:KEY, comma-separated
  PARTWISE_LOG            what to log on standard error: debug, partwise_server=trace, ...
                          [default for serve: its errors, and rejected keys]

Exit status: 0 done, 1 failed or refused, 2 the arguments are wrong, 75 stopped: the same command goes on.";

/// Which service to speak to, and how. Global: every one of these may also follow the subcommand.
#[derive(Args, Debug)]
#[command(next_help_heading = "Service")]
pub(crate) struct ServiceArguments {
    /// The API to speak: OpenAI's, Azure OpenAI's dated one or its v1 [default: openai].
    #[arg(long, global = true, value_enum, value_name = "PROVIDER")]
    pub(crate) provider: Option<Provider>,
    /// Where the service is, such as `https://NAME.openai.azure.com` or `http://127.0.0.1:8080/v1`.
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// The api-version of Azure [default for azure: 2024-10-21].
    #[arg(long, global = true, value_name = "VERSION")]
    pub(crate) api_version: Option<String>,
    /// Use the embedded server inside this command: no account, no network.
    #[arg(long, global = true)]
    pub(crate) local: bool,
    /// Where `--local` and `serve` keep their files: a folder, `file:///…`, `s3://BUCKET/PREFIX`, `az://CONTAINER/PREFIX`,
    /// `gs://BUCKET/PREFIX`, or `memory://` for as long as the command runs [default: among the platform's application data].
    #[arg(long, global = true, value_name = "PATH-OR-URL")]
    pub(crate) store: Option<String>,
    /// Do not try out a store elsewhere before it is used: for credentials that may not delete. Where it overwrites, files are lost.
    #[arg(long, global = true)]
    pub(crate) no_store_probe: bool,
    /// Also trust the certificates in this PEM file, for the service or for a store elsewhere.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ca_cert: Option<PathBuf>,
    /// Send the key over plain http to another machine too; anyone on the way there can read it.
    #[arg(long, global = true)]
    pub(crate) allow_plain_http: bool,
}

/// The families of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Provider {
    Openai,
    Azure,
    AzureV1,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Upload one file, in parallel parts when it is large, and print the stored object.
    Upload(UploadArguments),
    /// Show or end what is unfinished.
    #[command(subcommand, arg_required_else_help = false)]
    Uploads(UploadsCommand),
    /// List, show, delete, download or import files.
    #[command(subcommand, arg_required_else_help = false)]
    Files(FilesCommand),
    /// Find the lines of a JSON Lines file that a service could not read, before it is uploaded.
    Check(CheckArguments),
    /// Serve the same API from a folder.
    Serve(ServeArguments),
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  partwise upload train.jsonl --purpose fine-tune
  partwise upload big.jsonl --purpose fine-tune --parallel 8 --part-size 32MiB --md5
  partwise upload train.jsonl --purpose fine-tune --provider azure
  partwise upload notes.md --purpose assistants --local --json

When it is killed, stopped or cut off, the same command goes on from where it was.
Ctrl-C stops it; Ctrl-C again cancels the upload on the service.

SIZE is a number of bytes or has a unit: k, M, G or KiB, MiB, GiB (by 1024), KB, MB, GB (by 1000).")]
pub(crate) struct UploadArguments {
    /// The file to upload.
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) purpose: RequiredPurpose,
    /// The number of parts to send at once [default: as many as make it faster, up to 16].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) parallel: Option<u16>,
    /// The size of a part [default: what a connection carries in about 4 s, at most 64MiB].
    #[arg(long, value_name = "SIZE", value_parser = part_size)]
    pub(crate) part_size: Option<u64>,
    /// Send the file's MD5, so that the service checks what it has put together.
    #[arg(long)]
    pub(crate) md5: bool,
    /// The file's MIME type [default: by its extension].
    #[arg(long, value_name = "TYPE", value_parser = mime_type)]
    pub(crate) mime_type: Option<String>,
    /// Force the way it goes: as parts or as a single request [default: parts when it is larger than one].
    #[arg(long, value_enum, value_name = "ROUTE")]
    pub(crate) route: Option<RouteName>,
    /// How long to wait for a service that cannot be reached, such as 90s, 15m or 2h; one that never answered, at most 30s.
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = duration::parse)]
    pub(crate) give_up_after: Duration,
    /// Begin anew, whatever an earlier run has sent.
    #[arg(long)]
    pub(crate) no_resume: bool,
    /// Take this file of the service for the upload whose outcome is unknown, if it is the same; nothing is sent.
    #[arg(long, value_name = "FILE_ID", conflicts_with_all = ["no_resume", "send_again"])]
    pub(crate) adopt: Option<String>,
    /// Upload again although an earlier run may have made a file already; then there may be two.
    #[arg(long, conflicts_with = "no_resume")]
    pub(crate) send_again: bool,
    #[command(flatten)]
    pub(crate) progress: ProgressArguments,
    /// Print also what it took: requests, retries by reason, bytes, waits; with --json as a second object.
    #[arg(long)]
    pub(crate) stats: bool,
    #[command(flatten)]
    pub(crate) state: StateArguments,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

#[derive(Args, Debug)]
pub(crate) struct StateArguments {
    /// Where it is remembered how far uploads are [default: among the platform's application state].
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UploadsCommand {
    /// List the uploads that are unfinished here; the same `partwise upload` goes on with each.
    List(UploadsListArguments),
    /// Cancel an upload on the service, and forget it here.
    Cancel(UploadsCancelArguments),
}

#[derive(Args, Debug)]
pub(crate) struct UploadsListArguments {
    #[command(flatten)]
    pub(crate) state: StateArguments,
    /// Print one JSON object per line, and nothing else on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct UploadsCancelArguments {
    /// The upload's id, as `uploads list` shows it.
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) state: StateArguments,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

/// The ways that a file can go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RouteName {
    Parts,
    Single,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FilesCommand {
    /// List the files that the service holds, newest first.
    List(ListArguments),
    /// Show one file's object.
    Get(GetArguments),
    /// Delete one file.
    Delete(GetArguments),
    /// Download one file's content.
    Download(DownloadArguments),
    /// Have Azure (dated api-versions) fetch a file from a URL.
    Import(ImportArguments),
}

#[derive(Args, Debug)]
pub(crate) struct ListArguments {
    /// Only files of this purpose.
    #[arg(long, value_name = "PURPOSE")]
    pub(crate) purpose: Option<String>,
    /// Send the purpose even if no service is known to have it.
    #[arg(long)]
    pub(crate) allow_unknown_purpose: bool,
    /// At most this many files [default: all].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    /// The order by creation time [default: the service's, newest first].
    #[arg(long, value_enum, value_name = "ORDER")]
    pub(crate) order: Option<OrderName>,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

/// The orders of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OrderName {
    Asc,
    Desc,
}

#[derive(Args, Debug)]
pub(crate) struct GetArguments {
    /// The file's id.
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  partwise files download file-abc123 -o results.jsonl
  partwise files download file-abc123 -o - | head -1

What has come is kept in FILE.partwise. When it is killed, stopped or cut off, the same command goes on from
where it was.")]
pub(crate) struct DownloadArguments {
    /// The file's id.
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Where to write it; `-` is standard output. The file appears under this name only when it is complete.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Replace a file that is there already.
    #[arg(long)]
    pub(crate) force: bool,
    /// The number of ranges to ask for at once, when the service serves ranges; standard output gets everything in one.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) parallel: u16,
    /// How long to wait for a service that cannot be reached, such as 90s, 15m or 2h; one that never answered, at most 30s.
    /// Standard output waits no longer than other requests do.
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = duration::parse)]
    pub(crate) give_up_after: Duration,
    /// Begin anew, whatever an earlier run has received.
    #[arg(long)]
    pub(crate) no_resume: bool,
    #[command(flatten)]
    pub(crate) progress: ProgressArguments,
}

#[derive(Args, Debug)]
pub(crate) struct ImportArguments {
    /// Where the service fetches the content from.
    #[arg(long, value_name = "URL")]
    pub(crate) url: String,
    /// The name that the file gets.
    #[arg(long, value_name = "NAME")]
    pub(crate) filename: String,
    #[command(flatten)]
    pub(crate) purpose: RequiredPurpose,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

#[derive(Args, Debug)]
pub(crate) struct RequiredPurpose {
    #[arg(
        long,
        value_name = "PURPOSE",
        help = "What the file is for: assistants, batch, evals, fine-tune, user_data or vision"
    )]
    pub(crate) purpose: String,
    /// Send the purpose even if no service is known to have it.
    #[arg(long)]
    pub(crate) allow_unknown_purpose: bool,
    /// Send a file for fine-tuning or a batch even if its name does not end with `.jsonl`.
    #[arg(long)]
    pub(crate) allow_any_name: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  partwise check train.jsonl --purpose fine-tune && partwise upload train.jsonl --purpose fine-tune
  partwise check batch.jsonl --purpose batch --json

Each line has to be a JSON object in UTF-8, and the name of a file for fine-tuning or a batch has
to end with .jsonl; what stands in the objects is not looked at. A service, or the job, finds a
wrong line only when all of the file is there.
Lines are counted from 1, and so are columns, in bytes.")]
pub(crate) struct CheckArguments {
    /// The file to check.
    pub(crate) file: PathBuf,
    /// The purpose of the file.
    #[arg(long, value_enum, value_name = "PURPOSE")]
    pub(crate) purpose: LinesPurpose,
    /// Print each wrong line as one JSON object per line, and nothing else on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The purposes whose files are JSON Lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LinesPurpose {
    Batch,
    Evals,
    FineTune,
}

#[derive(Args, Debug)]
pub(crate) struct ProgressArguments {
    /// How to show the progress on standard error: as a bar, as plain lines, as one JSON object per line, or not at all; auto
    /// is a bar on a terminal, and plain lines elsewhere and with `PARTWISE_LOG`.
    #[arg(long, value_enum, value_name = "KIND", default_value = "auto")]
    pub(crate) progress: Mode,
}

#[derive(Args, Debug)]
pub(crate) struct OutputArguments {
    /// Print the service's object as JSON, one per line, and nothing else on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  partwise serve --store ./files
  partwise serve --listen 0.0.0.0:8080 --store /srv/files --api-key-file keys.txt
  partwise serve --store s3://bucket/prefix
  partwise serve --listen 127.0.0.1:0 --store memory://

Then, with any client of OpenAI or of Azure OpenAI:
  OPENAI_BASE_URL=http://127.0.0.1:8080/v1
  AZURE_OPENAI_ENDPOINT=http://127.0.0.1:8080

Without keys it takes any key, and then listens on loopback addresses only, for requests to localhost.
SIGTERM and Ctrl-C stop it; SIGHUP has it read the file of keys again.")]
pub(crate) struct ServeArguments {
    /// The address to listen on; port 0 picks a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) listen: String,
    /// A file with the keys to take: one `key` or `tenant:key` per line.
    #[arg(long, value_name = "FILE")]
    pub(crate) api_key_file: Option<PathBuf>,
    /// Syncs files to the disk before they are answered, or not; `none` is faster, but what was answered may be lost
    /// when the power fails (not when the server crashes).
    #[arg(long, value_enum, value_name = "LEVEL", default_value = "strict")]
    pub(crate) durability: DurabilityName,
    /// Does not start where there is no store yet, such as on a folder whose disk is not mounted.
    #[arg(long)]
    pub(crate) require_existing: bool,
    /// Reject what the documents reject, also where a live service accepts it: batch files at /v1 whose name does not end
    /// with .jsonl.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Serve at most so many connections at once; one more is answered with 503 [default: what the limit of open files leaves].
    #[arg(long, value_name = "N", value_parser = connections)]
    pub(crate) max_connections: Option<usize>,
    /// Let one address have at most so many of them; not for a server behind a reverse proxy, which is one address [default: all].
    #[arg(long, value_name = "N", value_parser = connections)]
    pub(crate) max_connections_per_peer: Option<usize>,
    /// Cut off a client that takes nothing of an answer for so long.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub(crate) write_stall_timeout: Duration,
    /// Cut off a client that sends or takes fewer bytes a second, over a minute; 0 cuts off none.
    #[arg(long, value_name = "SIZE", default_value = "1KiB", value_parser = size::parse)]
    pub(crate) min_rate: u64,
    /// Cut off requests that go on for so long after the first signal to stop; a second one ends at once.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) shutdown_timeout: Duration,
}

/// The durability of what the server has answered with success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DurabilityName {
    Strict,
    None,
}

fn connections(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|number| (1..=1_000_000).contains(number))
        .ok_or_else(|| "give 1 to 1000000".into())
}

/// A day is more than anybody waits for.
fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.parse().ok().filter(|number| (1..=86_400).contains(number));
    number.map(Duration::from_secs).ok_or_else(|| "give 1 to 86400 seconds".into())
}

fn part_size(text: &str) -> Result<u64, String> {
    match size::parse(text)? {
        0 => Err("a part has at least one byte".into()),
        size => Ok(size),
    }
}

/// A header value of its own in the multipart form: visible ASCII and spaces.
fn mime_type(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return Err("a MIME type looks like application/jsonl".into());
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_is_consistent() {
        Arguments::described().debug_assert();
    }

    fn parsed(arguments: &[&str]) -> Arguments {
        let matches = Arguments::described().try_get_matches_from([&["partwise"], arguments].concat());
        Arguments::of(&matches.expect("arguments")).expect("arguments")
    }

    #[test]
    fn a_flag_that_a_subcommand_refuses_is_read_wherever_it_stands() {
        for arguments in [
            ["--local", "check", "a", "--purpose", "batch"],
            ["check", "--local", "a", "--purpose", "batch"],
            ["check", "a", "--purpose", "batch", "--local"],
        ] {
            assert!(parsed(&arguments).service.local, "{arguments:?}");
        }
        assert_eq!(parsed(&["uploads", "list", "--store", "x"]).service.store.as_deref(), Some("x"));
        assert_eq!(parsed(&["serve", "--store", "x"]).service.store.as_deref(), Some("x"));
    }

    #[test]
    fn global_flags_may_follow_the_subcommand() {
        let before =
            Arguments::try_parse_from(["partwise", "--local", "--store", "x", "files", "get", "file-1"]);
        let after =
            Arguments::try_parse_from(["partwise", "files", "get", "file-1", "--local", "--store", "x"]);
        for arguments in [before.expect("before"), after.expect("after")] {
            assert!(arguments.service.local);
            assert_eq!(arguments.service.store.as_deref(), Some("x"));
        }
    }
}
