//! Forms in the shapes that the API's real clients send.

use bytes::Bytes;
use http::HeaderValue;

use crate::multipart::{FormDecoder, FormPoll, decode_whole};

struct Form {
    content_type: &'static str,
    content_field: &'static str,
    /// One line each, without its CRLF.
    lines: &'static [&'static str],
}

impl Form {
    /// Decodes the form in one piece and byte by byte, and shows what was found.
    fn decode(&self) -> String {
        let content_type = HeaderValue::from_static(self.content_type);
        let body = Bytes::from(self.lines.join("\r\n"));
        let (fields, content) = decode_whole(&content_type, body.clone(), self.content_field).unwrap();

        let mut decoder = FormDecoder::new(&content_type, self.content_field).unwrap();
        let mut bytes = body.iter();
        let mut content_by_byte = Vec::new();
        let fields_by_byte = loop {
            match decoder.poll().unwrap() {
                FormPoll::NeedInput => match bytes.next() {
                    Some(byte) => decoder.push(Bytes::copy_from_slice(&[*byte])),
                    None => decoder.finish_input(),
                },
                FormPoll::Content(bytes) => content_by_byte.extend_from_slice(&bytes),
                FormPoll::Done(fields) => break fields,
            }
        };
        assert_eq!((&fields, &content[..]), (&fields_by_byte, &content_by_byte[..]));
        format!("{fields:#?}\n{content:?}")
    }
}

#[test]
fn openai_python_sends_the_file_last() {
    let form = Form {
        content_type: "multipart/form-data; boundary=1a79a4d60de6718e8e5b326e338ae533",
        content_field: "file",
        lines: &[
            "--1a79a4d60de6718e8e5b326e338ae533",
            "Content-Disposition: form-data; name=\"purpose\"",
            "",
            "batch",
            "--1a79a4d60de6718e8e5b326e338ae533",
            "Content-Disposition: form-data; name=\"expires_after[anchor]\"",
            "",
            "created_at",
            "--1a79a4d60de6718e8e5b326e338ae533",
            "Content-Disposition: form-data; name=\"expires_after[seconds]\"",
            "",
            "3600",
            "--1a79a4d60de6718e8e5b326e338ae533",
            "Content-Disposition: form-data; name=\"file\"; filename=\"na\\\\me%22你好%0A.jsonl\"",
            "Content-Type: application/octet-stream",
            "",
            "{\"custom_id\": \"a\"}",
            "{\"custom_id\": \"b\"}",
            "",
            "--1a79a4d60de6718e8e5b326e338ae533--",
            "",
        ],
    };
    insta::assert_snapshot!(form.decode());
}

#[test]
fn openai_node_sends_the_file_first() {
    let form = Form {
        content_type: "multipart/form-data; boundary=----formdata-undici-049182736450",
        content_field: "file",
        lines: &[
            "------formdata-undici-049182736450",
            "Content-Disposition: form-data; name=\"file\"; filename=\"train%22.jsonl\"",
            "Content-Type: application/octet-stream",
            "",
            "{}",
            "------formdata-undici-049182736450",
            "Content-Disposition: form-data; name=\"purpose\"",
            "",
            "fine-tune",
            "------formdata-undici-049182736450--",
            "",
        ],
    };
    insta::assert_snapshot!(form.decode());
}

#[test]
fn openai_node_4_ends_with_one_more_line() {
    let form = Form {
        content_type: "multipart/form-data; boundary=form-data-boundary-7dk2xmq0",
        content_field: "file",
        lines: &[
            "--form-data-boundary-7dk2xmq0",
            "Content-Disposition: form-data; name=\"purpose\"",
            "",
            "assistants",
            "--form-data-boundary-7dk2xmq0",
            "Content-Disposition: form-data; name=\"file\"; filename=\"a\\b.txt\"",
            "Content-Type: text/plain",
            "",
            "text",
            "--form-data-boundary-7dk2xmq0--",
            "",
            "",
        ],
    };
    insta::assert_snapshot!(form.decode());
}

#[test]
fn dotnet_quotes_the_boundary_and_not_the_names() {
    let form = Form {
        content_type: "multipart/form-data; boundary=\"=?_b2f7c1d0-41aa-4c0e-9c55-0f6f4f9d3e11\"",
        content_field: "file",
        lines: &[
            "--=?_b2f7c1d0-41aa-4c0e-9c55-0f6f4f9d3e11",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Disposition: form-data; name=purpose",
            "",
            "assistants",
            "--=?_b2f7c1d0-41aa-4c0e-9c55-0f6f4f9d3e11",
            "Content-Disposition: form-data; name=file; filename=caf_.txt; filename*=utf-8''caf%C3%A9.txt",
            "",
            "contents",
            "--=?_b2f7c1d0-41aa-4c0e-9c55-0f6f4f9d3e11--",
            "",
        ],
    };
    insta::assert_snapshot!(form.decode());
}

#[test]
fn curl_sends_a_part_as_text_without_a_filename() {
    let form = Form {
        content_type: "multipart/form-data; boundary=------------------------d74496d66958873e",
        content_field: "data",
        lines: &[
            "--------------------------d74496d66958873e",
            "Content-Disposition: form-data; name=\"data\"",
            "",
            "TWFuIGlzIG5vdCBkZWNvZGVk",
            "--------------------------d74496d66958873e--",
            "",
        ],
    };
    insta::assert_snapshot!(form.decode());
}

#[test]
fn reqwest_escapes_with_a_backslash() {
    let form = Form {
        content_type: "multipart/form-data; boundary=ab12-cd34-ef56-0718",
        content_field: "file",
        lines: &[
            "--ab12-cd34-ef56-0718",
            "Content-Disposition: form-data; name=\"file\"; filename=\"q\\\".txt\"",
            "Content-Type: text/plain",
            "",
            "q",
            "--ab12-cd34-ef56-0718--",
        ],
    };
    insta::assert_snapshot!(form.decode());
}

#[test]
fn a_mail_like_form_has_text_around_it_and_blanks_after_its_boundaries() {
    let form = Form {
        content_type: "multipart/form-data; charset=utf-8; boundary=\"gc0pJq0M:08jU534c0p\"",
        content_field: "data",
        lines: &[
            "This is a form.",
            "--gc0pJq0M:08jU534c0",
            "",
            "--gc0pJq0M:08jU534c0p \t",
            "Content-Disposition: form-data;",
            " name=\"data\"",
            "",
            "",
            "--gc0pJq0M:08jU534c0p-- \t",
            "--gc0pJq0M:08jU534c0p",
        ],
    };
    insta::assert_snapshot!(form.decode());
}
