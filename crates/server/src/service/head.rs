//! The head of a request, as its answer needs it.

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderName, HeaderValue, Method, Response, Version, header, request::Parts, uri::Authority};
use http_body::Body as _;
use partwise_protocol::{Api, Dialect};

use super::body::ResponseBody;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const APIM_REQUEST_ID: HeaderName = HeaderName::from_static("apim-request-id");

/// The head of a request, and the number by which the log and the caller name it.
pub(super) struct Head {
    pub(super) parts: Parts,
    number: u128,
}

impl Head {
    pub(super) fn new(parts: Parts, number: u128) -> Self {
        Self { parts, number }
    }

    /// As it stands in the log and in OpenAI's header.
    pub(super) fn id(&self) -> String {
        format!("req_{:032x}", self.number)
    }

    /// As the caller sees it.
    pub(super) fn id_in(&self, api: &Api) -> String {
        match api.dialect() {
            Dialect::OpenAi => self.id(),
            _ => self.uuid(),
        }
    }

    /// The name of the operation that is asked for.
    pub(super) fn operation(&self, api: &Api) -> &'static str {
        api.route(&self.parts.method, &self.parts.uri).map_or("none", |route| route.operation.name())
    }

    /// Under which URL the caller knows this server; ends up in `Location` alone.
    pub(super) fn origin(&self) -> String {
        let host = self.parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| self.parts.uri.authority().map(Authority::as_str));
        format!("{}://{}", self.parts.uri.scheme_str().unwrap_or("http"), host.unwrap_or("localhost"))
    }

    /// In which dialect to refuse a request that belongs to none.
    pub(super) fn api_of_unknown_path(&self) -> Api {
        let path = self.parts.uri.path();
        let dialect = if path.starts_with("/openai/v1") {
            Dialect::AzureV1 { api_version: None }
        } else if path.starts_with("/openai") {
            Dialect::AzureDated { api_version: String::new() }
        } else {
            Dialect::OpenAi
        };
        Api::with_base("http://localhost", dialect).unwrap_or_else(|_| Api::openai())
    }

    /// Returns `true` if the caller sends its body only when told to.
    pub(super) fn expects_continue(&self) -> bool {
        self.parts
            .headers
            .get(header::EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
    }

    /// Returns `true` if a header may tell the caller that the connection ends.
    pub(super) fn has_connection_header(&self) -> bool {
        self.parts.version <= Version::HTTP_11
    }

    /// Puts the request's number on an answer, as the dialect writes it, and takes the body from it when only the head was asked
    /// for.
    pub(super) fn finish(&self, api: &Api, response: &mut Response<ResponseBody>) {
        if self.parts.method == Method::HEAD {
            let body = match response.body().size_hint().exact() {
                Some(length) => {
                    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
                    ResponseBody::bytes(Bytes::new())
                }
                // Of unknown length too, so that a connection announces what it would for a GET.
                None => ResponseBody::pieces(stream::empty()),
            };
            *response.body_mut() = body;
        }
        let id = self.id_in(api);
        response.body_mut().belongs_to(&id, self.operation(api));
        let headers = response.headers_mut();
        insert(headers, REQUEST_ID, &id);
        if *api.dialect() != Dialect::OpenAi {
            insert(headers, APIM_REQUEST_ID, &id);
        }
    }

    fn uuid(&self) -> String {
        let digits = format!("{:032x}", self.number);
        [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
    }
}

fn insert(headers: &mut http::HeaderMap, name: HeaderName, value: &str) {
    // Digits and letters always are a header's value.
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}
