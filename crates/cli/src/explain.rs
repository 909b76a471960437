//! What an error of the client means, and what can be done about it.

mod rejected;

use std::{error::Error as StdError, io};

use http::StatusCode;
use partwise::{
    DEFAULT_AZURE_API_VERSION, Error,
    stack::{ConnectError, StackError, TlsError},
};
use partwise_protocol::{
    Dialect,
    download::{DownloadError, Instead, WrongContent},
    error::{EncodeError, Garbled},
    operations::OperationId,
    transport::FailureKind,
    upload::{PlanError, UploadError},
};

use crate::{
    report::{Report, chain, in_words},
    service::{Key, Reach, Service},
    size::Human,
    store::disk_full,
};

const UPLOAD_AGAIN: &str = "upload it again when nothing writes to it any more";

/// What is done about a certificate that nobody trusted has signed.
pub(crate) const CERTIFICATES: &str =
    "--ca-cert FILE trusts another CA's certificate, SSL_CERT_FILE a whole file of them";

/// What is done about a page: it is no answer of this API, whatever its status.
const IN_FRONT: &str = "something in front of the service answered in its place: sign in to this network, or look at the proxy, firewall or gateway on the way";

/// Turns errors of one service's client into reports.
#[derive(Debug)]
pub(crate) struct Explain {
    base: String,
    dialect: Dialect,
    embedded: bool,
    version_is_open: bool,
    /// What says where the service is: a flag or a variable.
    endpoint_from: &'static str,
    /// The most bytes of a file in one request.
    largest_file: u64,
    key: Key,
}

impl Explain {
    pub(crate) fn new(service: &Service, key: Key) -> Self {
        Self {
            base: service.api.base().to_owned(),
            dialect: service.api.dialect().clone(),
            embedded: matches!(service.reach, Reach::Embedded { .. }),
            version_is_open: service.version_is_open,
            endpoint_from: service.endpoint_from,
            largest_file: service.api.limits().file,
            key,
        }
    }

    /// `what` could not be done because of `error`.
    pub(crate) fn report(&self, what: &str, error: &Error) -> Report {
        match error {
            Error::Encode(cause) => return self.unsendable(cause),
            Error::Plan(cause) => return self.unplannable(what, cause),
            Error::AmbiguousCheckpoint { difference } => return self.ambiguous(what, difference),
            Error::Upload(cause) => {
                if let UploadError::Encode { source, .. } = &**cause {
                    return self.unsendable(source);
                }
            }
            _ => {}
        }
        if let Some(report) = self.redirected(what, error) {
            return report;
        }
        let is_full =
            error.rejection().is_some_and(|refusal| refusal.status == StatusCode::INSUFFICIENT_STORAGE);
        if self.embedded && is_full {
            return disk_full(Some(what));
        }
        let place = self.place();
        Report::failed(format!("{what}{place}: {}", chain(error))).maybe_hint(self.hint(error))
    }

    /// The service's address, as messages append it; empty for the embedded server.
    fn place(&self) -> String {
        if self.embedded { String::new() } else { format!(" at {}", self.base) }
    }

    /// An earlier run may have made a file, and the content that it would be known by is gone.
    fn ambiguous(&self, what: &str, difference: &str) -> Report {
        let place = self.place();
        Report::failed(format!(
            "{what}{place}: an earlier run may have made a file of it, and its checkpoint does not match the file: {difference}"
        ))
        .hint("`partwise files list` shows whether that file is there; --send-again uploads the file as it is now")
    }

    /// The service sent the request elsewhere, and it was not followed there.
    fn redirected(&self, what: &str, error: &Error) -> Option<Report> {
        let refusal = error.rejection()?;
        let redirect = refusal.redirect.as_ref()?;
        let request = match error {
            Error::Upload(cause) => match &**cause {
                UploadError::Rejected { operation, .. } => in_words(operation.to_string()),
                _ => return None,
            },
            _ => "the request".to_owned(),
        };
        let (base, status) = (&self.base, refusal.status);
        let report =
            Report::failed(format!("{what} at {base}: {request} was redirected to {redirect} ({status})"));
        Some(report.hint(match redirect.base().filter(|elsewhere| elsewhere != base) {
            Some(elsewhere) => format!("set the endpoint to {elsewhere} ({})", self.endpoint_from),
            None => self.other_service(),
        }))
    }

    /// What was asked for cannot be sent, whatever the service answers.
    fn unsendable(&self, cause: &EncodeError) -> Report {
        let report = match cause {
            EncodeError::Unavailable { operation, dialect } if operation.path().contains('{') => {
                self.lacking(format!("{dialect} has no request for {}", in_words(operation.to_string())))
            }
            EncodeError::Unavailable { .. } | EncodeError::UnavailableField { .. } => {
                self.lacking(chain(cause))
            }
            _ => Report::usage(chain(cause)),
        };
        match cause {
            EncodeError::Unavailable { .. } if self.dialect == Dialect::OpenAi => {
                report.hint("only Azure's dated api-versions have it: --provider azure")
            }
            EncodeError::Unavailable { .. } => report.hint("another --provider or --api-version may have it"),
            _ => report,
        }
    }

    /// What cannot be planned for this file, or for any.
    fn unplannable(&self, what: &str, cause: &PlanError) -> Report {
        let has_uploads = OperationId::CreateUpload.available_in(&self.dialect);
        let later = || format!("a later api-version has them: --api-version {DEFAULT_AZURE_API_VERSION}");
        match cause {
            PlanError::PartSize { .. } => Report::usage(cause.to_string()),
            PlanError::NoUploads { .. } => self.lacking(cause.to_string()).hint(later()),
            PlanError::Md5WithoutParts if has_uploads => Report::usage(cause.to_string()),
            PlanError::Md5WithoutParts => self.lacking(cause.to_string()),
            PlanError::TooLarge { length, limit, way } => {
                let (length, limit) = sizes_apart(*length, *limit);
                let report = Report::failed(format!(
                    "{what}: the file has {length}, and the service takes at most {limit} {way}"
                ));
                match *way {
                    "in one request" if has_uploads => report
                        .hint("in parts it may be larger, for the purposes that have them: --route parts"),
                    "in one request" => report.hint(format!("in parts it may be larger, and {}", later())),
                    _ => report,
                }
            }
            _ => Report::because(what, cause),
        }
    }

    /// What the dialect does not have: wrong by the arguments alone unless a variable could name another version.
    fn lacking(&self, message: String) -> Report {
        if self.version_is_open { Report::failed(message) } else { Report::usage(message) }
    }

    fn hint(&self, error: &Error) -> Option<String> {
        if let Some(refusal) = error.rejection() {
            if let Some(host) = &refusal.answered_by {
                return Some(format!(
                    "the service redirected the download to {host}, which rejected it: run the same command again for a new redirect"
                ));
            }
            return self.rejected(refusal, operation_of(error));
        }
        match error {
            Error::Garbled(garbled) => return self.garbled_hint(garbled),
            Error::WrongContent(cause) => return wrong_content_hint(cause),
            Error::Download(cause) => match &**cause {
                DownloadError::Garbled(garbled) => return self.garbled_hint(garbled),
                DownloadError::WrongContent(cause) => return wrong_content_hint(cause),
                _ => {}
            },
            Error::Upload(cause) => {
                if let Some(hint) = self.transfer_hint(cause) {
                    return Some(hint);
                }
            }
            _ => {}
        }
        causes(error).find_map(stack_hint).or_else(|| match error.failure() {
            Some(FailureKind::Connect) => {
                Some(format!("is the service running, and is {} where it is?", self.base))
            }
            _ => None,
        })
    }

    /// What to do about an answer that cannot be read, or that says something else than was asked.
    fn garbled_hint(&self, garbled: &Garbled) -> Option<String> {
        match garbled {
            Garbled { is_page: true, .. } => Some(IN_FRONT.into()),
            Garbled { is_coded: true, .. } => Some(
                "a gateway or proxy compresses the answers although they are asked for uncompressed: turn that off for this API".into(),
            ),
            Garbled { is_contradiction: true, .. } => None,
            _ => Some(self.other_service()),
        }
    }

    fn other_service(&self) -> String {
        format!("something else may be answering: is {} the right endpoint?", self.base)
    }

    /// What may help an upload that has expired.
    fn after_expiry(&self, length: u64, was_too_slow: bool) -> String {
        match (was_too_slow, length <= self.largest_file) {
            (true, true) => {
                "--route single sends it in one request, which does not expire; a larger --parallel may be faster".into()
            }
            (true, false) => "a larger --parallel may be faster; the same command starts over".into(),
            (false, _) => "the same command starts over".into(),
        }
    }

    fn transfer_hint(&self, cause: &UploadError) -> Option<String> {
        match cause {
            UploadError::Garbled { source, .. } => self.garbled_hint(source),
            UploadError::SourceChanged { file: Some(file), .. } => {
                Some(format!("the service made {} of what it got: delete it", file.id))
            }
            UploadError::SourceChanged { file: None, .. } => Some(UPLOAD_AGAIN.into()),
            UploadError::Source(cause) if ends_early(cause) => Some(UPLOAD_AGAIN.into()),
            UploadError::Save(_) => Some("--state DIR keeps it somewhere else".into()),
            UploadError::Expired { length, measured, needed } => {
                let was_too_slow = measured.zip(*needed).is_some_and(|(measured, needed)| measured < needed);
                Some(self.after_expiry(*length, was_too_slow))
            }
            UploadError::Cancelled { file_possible: true, .. } => {
                Some("look with `partwise files list` whether the file is there".into())
            }
            UploadError::CompletionUnknown { cause: Some(cause), .. } if is_page(cause) => {
                Some(IN_FRONT.into())
            }
            UploadError::CompletionUnknown { candidates, .. } => {
                let again = "--send-again uploads the file again";
                Some(match candidates.as_deref().unwrap_or_default() {
                    [] => format!(
                        "`partwise files list` may show it in a while: then --adopt FILE_ID takes it; {again}"
                    ),
                    [file] => format!("--adopt {} takes that file if it is the same; {again}", file.id),
                    candidates => {
                        let ids: Vec<_> = candidates.iter().map(|file| file.id.as_str()).collect();
                        format!("--adopt FILE_ID takes one of {} if it is the same; {again}", ids.join(", "))
                    }
                })
            }
            UploadError::Unproven { file: Some(file), .. } => Some(format!(
                "--adopt {} takes that file if it is the same, --send-again uploads the file again",
                file.id
            )),
            UploadError::Unproven { file: None, .. } => {
                Some("--no-resume uploads the file again, as it is now".into())
            }
            UploadError::WrongSize { file, .. } | UploadError::AnsweredEarly { file, .. } => Some(format!(
                "something on the way changes what is sent: `partwise files delete {}`, then upload again",
                file.id
            )),
            UploadError::ContentRejected { file } => Some(format!(
                "fix the file, then upload it again; `partwise files delete {}` removes this one",
                file.id
            )),
            _ => None,
        }
    }
}

/// Whether the answer was a page.
fn is_page(cause: &UploadError) -> bool {
    matches!(cause, UploadError::Garbled { source, .. } if source.is_page)
}

/// The operation of an upload that was refused.
fn operation_of(error: &Error) -> Option<OperationId> {
    match error {
        Error::Upload(cause) => match &**cause {
            UploadError::Rejected { operation, .. } => Some(*operation),
            _ => None,
        },
        _ => None,
    }
}

fn wrong_content_hint(cause: &WrongContent) -> Option<String> {
    match cause.instead {
        Some(Instead::Page { .. }) => Some(IN_FRONT.into()),
        Some(_) => Some("run the same command again later".into()),
        None if !cause.has_length && cause.expected.is_some_and(|expected| cause.received < expected) => {
            Some("run the same command again: the connection may have ended early".into())
        }
        None => None,
    }
}

/// Two sizes for people, to the byte where they would read the same.
fn sizes_apart(length: u64, limit: u64) -> (String, String) {
    let shown = (Human(length).to_string(), Human(limit).to_string());
    if shown.0 == shown.1 { (format!("{length} bytes"), format!("{limit} bytes")) } else { shown }
}

fn stack_hint(cause: &(dyn StdError + 'static)) -> Option<String> {
    if let Some(TlsError::UnknownIssuer | TlsError::CaCertificate) = cause.downcast_ref() {
        return Some(CERTIFICATES.into());
    }
    match cause.downcast_ref()? {
        StackError::Connect(ConnectError::Resolve { .. }) => {
            Some("check how the endpoint is spelt, and the network".into())
        }
        StackError::NotHttp { .. } => Some("something else listens there".into()),
        StackError::Connect(cause) => certificate_hint(cause).or_else(|| proxy_hint(cause)),
        _ => None,
    }
}

/// What to do about a certificate that names no host.
fn certificate_hint(cause: &ConnectError) -> Option<String> {
    match cause {
        ConnectError::ProxyUnreachable { source, .. } => certificate_hint(source),
        ConnectError::Tls { host, source: TlsError::NoAlternativeName } => {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            let kind = if bare.parse::<std::net::IpAddr>().is_ok() { "IP" } else { "DNS" };
            Some(format!(
                "make a certificate that has one: openssl req -x509 … -addext subjectAltName={kind}:{bare}"
            ))
        }
        _ => None,
    }
}

/// What to do about a proxy. One that the environment does not name is not ours.
fn proxy_hint(cause: &ConnectError) -> Option<String> {
    match cause {
        ConnectError::ProxyUnreachable { variable, source, .. } if source.is_transient() => {
            Some(format!("is the proxy running, and is it where {} says?", (*variable)?))
        }
        ConnectError::ProxyRejected { proxy, variable, has_login, schemes, to, source } => {
            let variable = (*variable)?;
            Some(match (source.status.as_u16(), has_login) {
                (407, _)
                    if !schemes.is_empty()
                        && !schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case("basic")) =>
                {
                    format!(
                        "the proxy takes a login by {} only, which partwise does not have: use another proxy, or one on this machine that logs in there",
                        schemes.join(" or ")
                    )
                }
                (407, false) => {
                    format!("the proxy wants a name and a password: {variable}=http://NAME:PASSWORD@{proxy}")
                }
                (407, true) => format!("the proxy does not take the name and the password in {variable}"),
                (500.., _) => format!("the proxy did not reach {to}: try again later"),
                _ => format!(
                    "ask those who run the proxy to allow {to}, or add the host to NO_PROXY if it can be reached directly"
                ),
            })
        }
        ConnectError::Proxy { .. } => Some("is there a proxy at all where the environment says so?".into()),
        _ => None,
    }
}

/// Whether a file became shorter than it was.
fn ends_early(cause: &(dyn StdError + 'static)) -> bool {
    causes(cause)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::UnexpectedEof)
}

fn causes<'e>(error: &'e (dyn StdError + 'static)) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use partwise_protocol::{Api, Operation as _, error::ResponseError, operations::ListFiles};

    use super::*;

    #[test]
    fn a_certificate_without_an_alternative_name_is_told_how_to_get_one() {
        let hint = |host: &str| {
            certificate_hint(&ConnectError::Tls { host: host.into(), source: TlsError::NoAlternativeName })
                .expect("a hint")
        };
        insta::assert_snapshot!(hint("gateway.example"), @"make a certificate that has one: openssl req -x509 … -addext subjectAltName=DNS:gateway.example");
        insta::assert_snapshot!(hint("[::1]"), @"make a certificate that has one: openssl req -x509 … -addext subjectAltName=IP:::1");
    }

    fn openai() -> Explain {
        Explain {
            base: String::new(),
            dialect: Dialect::OpenAi,
            embedded: false,
            version_is_open: false,
            endpoint_from: "--endpoint",
            largest_file: Api::openai().limits().file,
            key: Key { variable: "OPENAI_API_KEY", is_quoted: false },
        }
    }

    #[test]
    fn a_page_in_place_of_the_list_is_told_before_the_ways_out() {
        let page = http::Response::new(Bytes::from_static(b"<title>Sign in</title>"));
        let Err(ResponseError::Garbled(source)) = ListFiles::decode_response(page) else { panic!("a page") };
        let list = UploadError::Garbled { operation: OperationId::ListFiles, source };
        let unknown =
            UploadError::CompletionUnknown { upload_id: None, candidates: None, cause: Some(Box::new(list)) };
        assert_eq!(openai().transfer_hint(&unknown).as_deref(), Some(IN_FRONT));
    }

    #[test]
    fn an_upload_that_was_too_slow_is_told_what_may_be_faster() {
        let explain = openai();
        let hint = |length, measured, needed| {
            explain.transfer_hint(&UploadError::Expired { length, measured, needed }).expect("a hint")
        };
        insta::assert_snapshot!(hint(500_000_000, Some(1), Some(2)), @"--route single sends it in one request, which does not expire; a larger --parallel may be faster");
        insta::assert_snapshot!(hint(8_000_000_000, Some(1), Some(2)), @"a larger --parallel may be faster; the same command starts over");
        insta::assert_snapshot!(hint(500_000_000, Some(2), Some(1)), @"the same command starts over");
        insta::assert_snapshot!(hint(500_000_000, None, Some(1)), @"the same command starts over");
    }
}
