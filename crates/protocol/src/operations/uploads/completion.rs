//! Reading the body that completes an upload, which may name very many parts: one by one, and nothing is kept of them.

use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor,
};

use super::CompleteUpload;
use crate::{error::DecodeError, json::unreadable};

const PART_IDS: &str = "part_ids";
const MD5: &str = "md5";

impl CompleteUpload {
    /// The length of the longest name of a part that a service reads, in bytes. Identifiers of the known services have
    /// up to 39.
    pub const LONGEST_PART_ID: usize = 64;

    /// The most parts that a service reads the names of. 8 GiB in parts of 64 KiB are 131,072.
    pub const MOST_PARTS: usize = 400_000;

    /// Reads the body of a request without keeping it: `part` is given the name of each part, in the order of the file, while
    /// the body is parsed, and can end that with an error of its own. Returns the MD5 that the body names.
    ///
    /// A service that knows its parts by something shorter than text holds no more than that of them.
    ///
    /// ```
    /// # use partwise_protocol::{operations::CompleteUpload, error::DecodeError};
    /// let mut parts = Vec::new();
    /// let md5 = CompleteUpload::read_parts(br#"{"part_ids":["part_1","part_2"]}"#, |id| {
    ///     parts.push(id.to_owned());
    ///     Ok::<_, DecodeError>(())
    /// })?;
    /// assert_eq!((parts.len(), md5), (2, None));
    /// # Ok::<(), DecodeError>(())
    /// ```
    ///
    /// # Errors
    /// [`DecodeError`] when the body is not the object that completes an upload, has more than [`MOST_PARTS`](Self::MOST_PARTS)
    /// parts, or a name of more than [`LONGEST_PART_ID`](Self::LONGEST_PART_ID) bytes; the error of `part`.
    pub fn read_parts<E: From<DecodeError>>(
        body: &[u8],
        mut part: impl FnMut(&str) -> Result<(), E>,
    ) -> Result<Option<String>, E> {
        let mut stopped = None;
        let mut each = |id: &str| part(id).map_err(|error| stopped = Some(error)).is_ok();
        let read = read(body, &mut each);
        match (stopped, read) {
            (Some(error), _) => Err(error),
            (None, Ok(md5)) => Ok(md5),
            (None, Err(error)) => Err(unreadable(&error, &[PART_IDS, MD5]).into()),
        }
    }
}

/// Is given the name of each part, and says whether it wants the next.
type Each<'a> = &'a mut dyn FnMut(&str) -> bool;

fn read(body: &[u8], each: Each<'_>) -> serde_json::Result<Option<String>> {
    fn whole<'de, R: serde_json::de::Read<'de>>(
        read: R,
        each: Each<'_>,
    ) -> serde_json::Result<Option<String>> {
        let mut deserializer = serde_json::Deserializer::new(read);
        let md5 = Completion(each).deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(md5)
    }
    // As for other bodies: checking the encoding once is faster, and odd bytes may stand where nobody looks.
    match std::str::from_utf8(body) {
        Ok(text) => whole(serde_json::de::StrRead::new(text), each),
        Err(_) => whole(serde_json::de::SliceRead::new(body), each),
    }
}

/// The whole object. Seeds ask for any value and refuse the wrong ones themselves: an error of serde's would repeat them.
struct Completion<'a>(Each<'a>);

impl<'de> DeserializeSeed<'de> for Completion<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Completion<'_> {
    type Value = Option<String>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with `part_ids`")
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Err(E::invalid_type(Unexpected::Other("string"), &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let (mut has_parts, mut md5) = (false, None);
        while let Some(member) = members.next_key()? {
            match member {
                Member::PartIds if has_parts => return Err(A::Error::duplicate_field(PART_IDS)),
                Member::PartIds => {
                    members
                        .next_value_seed(PartIds(&mut *self.0))
                        .map_err(|error| about(PART_IDS, &error))?;
                    has_parts = true;
                }
                Member::Md5 if md5.is_some() => return Err(A::Error::duplicate_field(MD5)),
                Member::Md5 => md5 = Some(members.next_value_seed(Md5).map_err(|error| about(MD5, &error))?),
                Member::Other => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        if has_parts { Ok(md5.flatten()) } else { Err(A::Error::missing_field(PART_IDS)) }
    }
}

/// As the models' strict reading says it.
fn about<E: Error>(member: &str, error: &E) -> E {
    E::custom(format_args!("`{member}`: {error}"))
}

enum Member {
    PartIds,
    Md5,
    Other,
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = Member;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("the name of a member")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Member, E> {
                Ok(match name {
                    PART_IDS => Member::PartIds,
                    MD5 => Member::Md5,
                    _ => Member::Other,
                })
            }
        }
        deserializer.deserialize_identifier(Name)
    }
}

struct PartIds<'a>(Each<'a>);

impl<'de> DeserializeSeed<'de> for PartIds<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for PartIds<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of the ids of parts")
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Err(E::invalid_type(Unexpected::Other("string"), &self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut ids: A) -> Result<(), A::Error> {
        let mut count = 0;
        while ids.next_element_seed(PartId { each: &mut *self.0, count })?.is_some() {
            count += 1;
        }
        Ok(())
    }
}

struct PartId<'a> {
    each: Each<'a>,
    /// The number of ids before this one.
    count: usize,
}

impl<'de> DeserializeSeed<'de> for PartId<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for PartId<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the id of a part")
    }

    fn visit_str<E: Error>(self, id: &str) -> Result<(), E> {
        if self.count == CompleteUpload::MOST_PARTS {
            return Err(E::custom(format_args!("there are more than {} ids", CompleteUpload::MOST_PARTS)));
        }
        check_length(id)?;
        if (self.each)(id) { Ok(()) } else { Err(E::custom("stopped")) }
    }
}

struct Md5;

impl<'de> DeserializeSeed<'de> for Md5 {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<String>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Md5 {
    type Value = Option<String>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_unit<E: Error>(self) -> Result<Option<String>, E> {
        Ok(None)
    }

    fn visit_str<E: Error>(self, digest: &str) -> Result<Option<String>, E> {
        check_length(digest)?;
        Ok(Some(digest.to_owned()))
    }
}

fn check_length<E: Error>(text: &str) -> Result<(), E> {
    const LONGEST: usize = CompleteUpload::LONGEST_PART_ID;
    if text.len() <= LONGEST {
        return Ok(());
    }
    Err(E::custom(format_args!("a string of {} bytes, and the longest has {LONGEST}", text.len())))
}

#[cfg(test)]
mod tests {
    use partwise_models::CompleteUploadRequest;
    use proptest::prelude::*;

    use super::*;

    fn read(body: &str) -> Result<(Vec<String>, Option<String>), String> {
        let mut ids = Vec::new();
        let md5 = CompleteUpload::read_parts(body.as_bytes(), |id| {
            ids.push(id.to_owned());
            Ok::<_, DecodeError>(())
        });
        md5.map(|md5| (ids, md5)).map_err(|error| format!("{error} ({:?})", error.field()))
    }

    #[test]
    fn what_a_body_says_is_read_as_it_comes() {
        for (body, ids, md5) in [
            (r#"{"part_ids":[]}"#, &[][..], None),
            (r#" {"x":[{"part_ids":7}],"md5":null,"part_ids":["a","\u0062",""]} "#, &["a", "b", ""], None),
            (r#"{"part_\u0069ds":["a"],"md5":"d"}"#, &["a"], Some("d")),
        ] {
            let (read_ids, read_md5) = read(body).unwrap();
            assert_eq!(
                (read_ids, read_md5.as_deref()),
                (ids.iter().map(ToString::to_string).collect(), md5),
                "{body}"
            );
        }
        CompleteUpload::read_parts(b"{\"x\":\"\xff\",\"part_ids\":[]}", |_| Ok::<_, DecodeError>(()))
            .unwrap();
    }

    #[test]
    fn what_cannot_be_read_says_which_member_it_is() {
        let long = "x".repeat(65);
        let many = vec!["\"\""; CompleteUpload::MOST_PARTS + 1].join(",");
        let errors = [
            "",
            "\"part_ids\"",
            "{}",
            r#"{"part_ids":"a"}"#,
            r#"{"part_ids":["a",7]}"#,
            r#"{"part_ids":["a""#,
            r#"{"part_ids":[],"part_ids":[]}"#,
            r#"{"part_ids":[],"md5":[]}"#,
            r#"{"part_ids":[],"md5":"","md5":""}"#,
            r#"{"part_ids":[]}}"#,
            &format!(r#"{{"part_ids":["{long}"]}}"#),
            &format!(r#"{{"part_ids":[],"md5":"{long}"}}"#),
            &format!(r#"{{"part_ids":[{many}]}}"#),
        ]
        .map(|body| {
            read(body)
                .unwrap_err()
                .replace("the request body is not the JSON object that this operation takes: ", "")
        });
        insta::assert_snapshot!(errors.join("\n"), @r#"
        EOF while parsing a value at line 1 column 0 (None)
        invalid type: string, expected an object with `part_ids` at line 1 column 10 (None)
        missing field `part_ids` at line 1 column 2 (Some("part_ids"))
        `part_ids`: invalid type: string, expected an array of the ids of parts at line 1 column 15 (Some("part_ids"))
        `part_ids`: invalid type: integer `7`, expected the id of a part at line 1 column 18 (Some("part_ids"))
        `part_ids`: EOF while parsing a list at line 1 column 16 (Some("part_ids"))
        duplicate field `part_ids` at line 1 column 25 (Some("part_ids"))
        `md5`: invalid type: sequence, expected a string at line 1 column 23 (Some("md5"))
        duplicate field `md5` at line 1 column 29 (Some("md5"))
        trailing characters at line 1 column 16 (None)
        `part_ids`: a string of 65 bytes, and the longest has 64 at line 1 column 80 (Some("part_ids"))
        `md5`: a string of 65 bytes, and the longest has 64 at line 1 column 88 (Some("md5"))
        `part_ids`: there are more than 400000 ids at line 1 column 1200015 (Some("part_ids"))
        "#);
    }

    /// JSON that is nearly what completes an upload.
    fn nearly() -> impl Strategy<Value = String> {
        let text = prop_oneof![Just("\"\"".to_owned()), "\"[a-z]{1,4}\"", Just("\"\\u0061\"".to_owned())];
        let odd = prop::sample::select(vec!["null", "7", "-1.5", "true", "{}", "{\"part_ids\":[]}", "[", ""]);
        let value = prop_oneof![
            4 => prop::collection::vec(text.clone(), 0..4).prop_map(|ids| format!("[{}]", ids.join(","))),
            2 => text,
            1 => odd.prop_map(str::to_owned),
        ];
        let name = prop::sample::select(vec!["part_ids", "part_\\u0069ds", "md5", "x"]);
        let members = prop::collection::vec((name, value), 0..4);
        members.prop_map(|members| {
            let members: Vec<_> =
                members.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
            format!("{{{}}}", members.join(", "))
        })
    }

    proptest! {
        #[test]
        fn the_same_is_read_as_by_the_model(body in nearly()) {
            let model = serde_json::from_str::<CompleteUploadRequest>(&body).ok();
            let read = read(&body).ok().map(|(ids, md5)| {
                let mut request = CompleteUploadRequest::new(ids);
                request.md5 = md5;
                request
            });
            prop_assert_eq!(read, model, "{}", body);
        }
    }

    #[test]
    fn an_error_of_the_caller_ends_the_reading() {
        let mut seen = 0;
        let read = CompleteUpload::read_parts(br#"{"part_ids":["a","b","c"]}"#, |id| {
            seen += 1;
            if id == "b" { Err(DecodeError::Missing { field: "b" }) } else { Ok(()) }
        });
        assert_eq!(read.unwrap_err().to_string(), "`b` is missing");
        assert_eq!(seen, 2);
    }
}
