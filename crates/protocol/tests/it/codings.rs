//! Answers that came coded (`Content-Encoding`), although every request asks for them as they are.

use bytes::Bytes;
use http::Response;
use partwise_protocol::{
    Operation,
    error::ResponseError,
    operations::{DeleteFile, DownloadFile, ListFiles},
};

/// A body as compression leaves it: no text.
const CODED: &[u8] = b"\x1f\x8b\x08\x00\xff";

fn read<O: Operation>(status: u16, coding: &str) -> Result<O::Response, ResponseError> {
    let response = Response::builder().status(status).header("content-encoding", coding);
    O::decode_response(response.body(Bytes::from_static(CODED)).unwrap())
}

fn told<O: Operation>(status: u16, coding: &str) -> String {
    let Err(error) = read::<O>(status, coding) else { panic!("{status} with {coding} was read") };
    let cause = std::error::Error::source(&error).unwrap();
    format!("{error}: {cause}")
}

#[test]
fn a_success_that_came_coded_is_garbled_and_its_header_is_shown() {
    insta::assert_snapshot!(told::<ListFiles>(200, "br"), @r#"the answer with status 200 is not what this API answers: "Content-Encoding: br": the answer came coded, although it was asked for as it is (Accept-Encoding: identity)"#);
    assert_eq!(told::<DeleteFile>(200, "br"), told::<ListFiles>(200, "br"));
    assert_eq!(told::<DownloadFile>(200, "br"), told::<ListFiles>(200, "br"));
}

#[test]
fn a_rejection_that_came_coded_shows_its_status_and_its_header_instead_of_bytes() {
    insta::assert_snapshot!(told::<ListFiles>(401, "br"), @"the service refused: 401 Unauthorized: the answer came coded (Content-Encoding: br)");
    insta::assert_snapshot!(told::<DownloadFile>(502, "gzip, br"), @"the service refused: 502 Bad Gateway: the answer came coded (Content-Encoding: gzip, br)");
}

#[test]
fn identity_is_no_coding() {
    for coding in ["", "identity", "Identity, "] {
        let response = Response::builder().header("content-encoding", coding);
        ListFiles::decode_response(response.body(Bytes::from_static(b"{\"data\":[]}")).unwrap()).unwrap();
    }
}
