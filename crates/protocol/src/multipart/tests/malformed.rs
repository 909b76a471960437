use http::HeaderValue;
use proptest::collection::vec;
use proptest::prelude::*;

use super::read_in_pieces;
use crate::multipart::{Boundary, FormError, FormLimits};

fn boundary() -> Boundary {
    Boundary::of(&HeaderValue::from_static("multipart/form-data; boundary=b")).unwrap()
}

/// The error that ends a form, which must not depend on how its body is cut.
fn error_of(body: &str, limits: FormLimits) -> FormError {
    let whole = read_in_pieces(&boundary(), limits, body.as_bytes(), &[]);
    assert_eq!(read_in_pieces(&boundary(), limits, body.as_bytes(), &[1]), whole);
    whole.error.unwrap_or_else(|| panic!("{body:?} was read"))
}

#[test]
fn a_malformed_body_says_what_is_wrong() {
    let errors: Vec<_> = [
        "",
        "no boundary",
        "--another",
        "text--b\r\n",
        "--b",
        "--b\r",
        "--b-",
        "--b\r\n",
        "--b-x",
        "--bc\r\n\r\n",
        "--b x\r\n\r\n",
        "--b\n\n--b--",
        "--b\r\n\r\n",
        "--b\r\nContent-Disposition: form-data; name=a",
        "--b\r\nContent-Disposition: form-data; name=a\r\n",
        "--b\r\nContent-Disposition: form-data; name=a\r\n--b--\r\n\r\n",
        "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n",
        "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n--b--\r\n",
        "--b\r\nContent-Disposition: form-data; name=a\r\n\r\nvalue\r\n--",
        "--b\r\nContent-Disposition: form-data; name=a\r\n\r\nvalue\r\n--b",
        "--b\r\nContent-Disposition: form-data; name=a\r\n\r\nvalue\r\n--b-",
        "--b\r\nContent-Disposition: form-data; name=a\r\n\r\nvalue\r\n--b\r\n",
        "--b\r\nContent-Disposition: form-data; name=a\r\n\r\nvalue\r\n--c--\r\n",
    ]
    .map(|body| format!("{body:?}\n  {}", error_of(body, FormLimits::default())))
    .into();
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn a_header_may_be_as_long_as_its_limit_and_no_longer() {
    let header = "\r\nContent-Disposition: form-data; name=a\r\n\r\n";
    let body = format!("--b{header}value\r\n--b--");
    let limits = FormLimits { header: header.len(), ..FormLimits::default() };
    assert_eq!(read_in_pieces(&boundary(), limits, body.as_bytes(), &[]).error, None);

    let limit = header.len() - 1;
    let limits = FormLimits { header: limit, ..limits };
    assert_eq!(error_of(&body, limits), FormError::HeaderTooLong { limit });
    let endless = format!("--b\r\nX: {}", "x".repeat(100_000));
    assert_eq!(error_of(&endless, limits), FormError::HeaderTooLong { limit });
}

#[test]
fn there_may_be_as_many_fields_as_the_limit_and_no_more() {
    let field = "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n";
    let body = format!("{field}{field}--b--");
    let limits = FormLimits { fields: 2, ..FormLimits::default() };
    assert_eq!(read_in_pieces(&boundary(), limits, body.as_bytes(), &[]).error, None);
    let limits = FormLimits { fields: 1, ..limits };
    assert_eq!(error_of(&body, limits), FormError::TooManyFields { limit: 1 });
}

proptest! {
    #[test]
    fn any_body_is_read_or_refused_alike_however_it_is_cut(
        fragments in vec(
            prop_oneof![
                vec(any::<u8>(), 0..8),
                prop::sample::select(vec![
                    "\r\n--b", "--b", "--", "-", "\r\n", "\r", "\n", " ", "x", "b",
                    "\r\n--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n",
                    "Content-Disposition: form-data; name=", "\"", "\\", ";", "filename*=UTF-8''%e2",
                ])
                .prop_map(|text| text.as_bytes().to_vec()),
            ],
            0..24,
        ),
        sizes in vec(1usize..20, 1..4),
    ) {
        let body = fragments.concat();
        let limits = FormLimits { header: 120, fields: 3 };
        let whole = read_in_pieces(&boundary(), limits, &body, &[]);
        prop_assert_eq!(&read_in_pieces(&boundary(), limits, &body, &sizes), &whole);
        prop_assert_eq!(&read_in_pieces(&boundary(), limits, &body, &[1]), &whole);
    }

    #[test]
    fn any_header_is_read_or_refused_alike_however_it_is_cut(
        lines in vec(
            prop::sample::select(vec![
                "Content-Disposition: form-data; ", "Content-Type: ", "name=", "filename*=", "UTF-8''", "%e2", "\"",
                "\\", ";", "=", "'", "\r\n", "\r", "\n", " ", "é", "a",
            ]),
            0..20,
        ),
    ) {
        let body = format!("--b\r\nContent-Disposition: form-data; {}\r\n\r\n\r\n--b--", lines.concat());
        let whole = read_in_pieces(&boundary(), FormLimits::default(), body.as_bytes(), &[]);
        prop_assert_eq!(&read_in_pieces(&boundary(), FormLimits::default(), body.as_bytes(), &[1]), &whole);
    }

    #[test]
    fn any_content_type_is_read_or_refused(parameters in r#"[bx; ="\\\t\u{80}-\u{ff}]{0,12}"#) {
        let value = HeaderValue::from_bytes(format!("multipart/form-data; boundary={parameters}").as_bytes());
        if let Ok(boundary) = Boundary::of(&value.unwrap()) {
            prop_assert_eq!(Boundary::of(&boundary.content_type()), Ok(boundary));
        }
    }
}
