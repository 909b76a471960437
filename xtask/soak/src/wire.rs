//! The requests of the API, in every family of paths.

use serde_json::{Value, json};

use crate::http::Request;

const BOUNDARY: &str = "soak-5d1c7be29a40";

/// A family of paths, all of which lead to the same files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    OpenAi,
    AzureV1,
    AzureDated,
}

impl Family {
    pub(crate) const ALL: [Self; 3] = [Self::OpenAi, Self::AzureV1, Self::AzureDated];

    fn target(self, path: &str, query: &str) -> String {
        match self {
            Self::OpenAi | Self::AzureV1 => {
                let base = if self == Self::OpenAi { "/v1" } else { "/openai/v1" };
                let mark = if query.is_empty() { "" } else { "?" };
                format!("{base}{path}{mark}{query}")
            }
            Self::AzureDated => {
                let and = if query.is_empty() { "" } else { "&" };
                format!("/openai{path}?api-version=2024-10-21{and}{query}")
            }
        }
    }
}

/// The key of a request and its family of paths.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker<'a> {
    pub(crate) family: Family,
    pub(crate) key: &'a str,
}

impl Asker<'_> {
    fn request(
        self,
        method: &str,
        path: &str,
        query: &str,
        more: &str,
        body: Option<(&str, Vec<u8>)>,
    ) -> Request {
        let target = self.family.target(path, query);
        let key = match self.family {
            Family::OpenAi => format!("Authorization: Bearer {}", self.key),
            Family::AzureV1 | Family::AzureDated => format!("api-key: {}", self.key),
        };
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n{key}\r\n{more}");
        let body = match body {
            Some((kind, body)) => {
                head += &format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
                body
            }
            None if method == "POST" => {
                head += "Content-Length: 0\r\n";
                Vec::new()
            }
            None => Vec::new(),
        };
        head += "\r\n";
        Request { head, body }
    }

    pub(crate) fn create_file(
        self,
        name: &str,
        purpose: &str,
        content: &[u8],
        content_first: bool,
    ) -> Request {
        let purpose = field("name=\"purpose\"", "", purpose.as_bytes());
        let disposition = format!("name=\"file\"; filename=\"{name}\"");
        let content = field(&disposition, "Content-Type: application/octet-stream\r\n", content);
        let fields = if content_first { [content, purpose] } else { [purpose, content] };
        self.request("POST", "/files", "", "", Some(form(&fields.concat())))
    }

    pub(crate) fn list(self, query: &str) -> Request {
        self.request("GET", "/files", query, "", None)
    }

    pub(crate) fn retrieve(self, id: &str) -> Request {
        self.request("GET", &format!("/files/{id}"), "", "", None)
    }

    pub(crate) fn delete(self, id: &str) -> Request {
        self.request("DELETE", &format!("/files/{id}"), "", "", None)
    }

    pub(crate) fn download(self, id: &str) -> Request {
        self.request("GET", &format!("/files/{id}/content"), "", "", None)
    }

    /// `range` as in `0-9`, `10-`, `-5`.
    pub(crate) fn download_range(self, id: &str, range: &str) -> Request {
        let range = format!("Range: bytes={range}\r\n");
        self.request("GET", &format!("/files/{id}/content"), "", &range, None)
    }

    pub(crate) fn create_upload(self, name: &str, purpose: &str, bytes: u64) -> Request {
        let body =
            json!({"filename": name, "purpose": purpose, "bytes": bytes, "mime_type": "application/jsonl"});
        self.request("POST", "/uploads", "", "", Some(written(&body)))
    }

    pub(crate) fn add_part(self, upload: &str, content: &[u8]) -> Request {
        let disposition = "name=\"data\"; filename=\"part\"";
        let content = field(disposition, "Content-Type: application/octet-stream\r\n", content);
        self.request("POST", &format!("/uploads/{upload}/parts"), "", "", Some(form(&content)))
    }

    pub(crate) fn complete(self, upload: &str, parts: &[String], md5: Option<&str>) -> Request {
        let mut body = json!({"part_ids": parts});
        if let Some(md5) = md5 {
            body["md5"] = md5.into();
        }
        self.request("POST", &format!("/uploads/{upload}/complete"), "", "", Some(written(&body)))
    }

    pub(crate) fn cancel(self, upload: &str) -> Request {
        self.request("POST", &format!("/uploads/{upload}/cancel"), "", "", None)
    }
}

fn written(body: &Value) -> (&'static str, Vec<u8>) {
    ("application/json", body.to_string().into_bytes())
}

fn field(disposition: &str, kind: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n{kind}\r\n");
    [head.as_bytes(), content, b"\r\n"].concat()
}

fn form(fields: &[u8]) -> (&'static str, Vec<u8>) {
    let end = format!("--{BOUNDARY}--\r\n");
    ("multipart/form-data; boundary=soak-5d1c7be29a40", [fields, end.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_has_its_paths_and_its_key() {
        let list = |family| Asker { family, key: "secret" }.list("limit=2").head;
        assert_eq!(
            list(Family::OpenAi),
            "GET /v1/files?limit=2 HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer secret\r\n\r\n"
        );
        assert_eq!(
            list(Family::AzureV1),
            "GET /openai/v1/files?limit=2 HTTP/1.1\r\nHost: 127.0.0.1\r\napi-key: secret\r\n\r\n"
        );
        let dated = list(Family::AzureDated);
        assert!(
            dated.starts_with("GET /openai/files?api-version=2024-10-21&limit=2 HTTP/1.1\r\n"),
            "{dated}"
        );
    }

    #[test]
    fn a_form_ends_with_its_boundary_and_its_length_is_told() {
        let asker = Asker { family: Family::OpenAi, key: "secret" };
        let request = asker.create_file("a.jsonl", "assistants", b"content", true);
        let body = String::from_utf8(request.body).unwrap();
        assert!(
            body.contains(
                "filename=\"a.jsonl\"\r\nContent-Type: application/octet-stream\r\n\r\ncontent\r\n--"
            )
        );
        assert!(body.ends_with("--soak-5d1c7be29a40--\r\n"), "{body}");
        assert!(request.head.contains(&format!("Content-Length: {}\r\n", body.len())), "{}", request.head);
    }
}
