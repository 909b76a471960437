//! Keys and tenants.

use bytes::Bytes;
use http::{Request, StatusCode};
use partwise_protocol::{
    error::ApiError,
    operations::{CancelUpload, DeleteFile, DownloadFile, ListFiles, RetrieveFile},
};

use crate::world::{KEY, World, azure, azure_v1, openai, printed, told};

fn request(path: &str, headers: &[(&str, &str)]) -> Request<Bytes> {
    let mut builder = Request::get(path);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(Bytes::new()).unwrap()
}

#[tokio::test]
async fn either_header_opens_every_dialect() {
    let world = World::new().await;
    let bearer = format!("Bearer {KEY}");
    for path in ["/v1/files", "/openai/files?api-version=2024-10-21", "/openai/v1/files"] {
        for headers in
            [("authorization", bearer.as_str()), ("api-key", KEY), ("Authorization", "bearer key-a")]
        {
            let response = world.caller().send(request(path, &[headers])).await;
            assert_eq!(response.status(), StatusCode::OK, "{path} {headers:?}");
        }
    }
}

#[tokio::test]
async fn a_missing_or_wrong_key_is_refused_in_the_dialects_shape() {
    let world = World::new().await;
    let mut text = String::new();
    for path in ["/v1/files", "/openai/files?api-version=2024-10-21", "/openai/v1/files"] {
        for headers in [&[][..], &[("api-key", "wrong")]] {
            let response = world.caller().send(request(path, headers)).await;
            text += &format!("> GET {path} {headers:?}\n{}\n", printed(&response));
        }
    }
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn a_key_that_cannot_be_read_is_told_from_none_and_from_a_wrong_one() {
    let world = World::new().await;
    let mut said = String::new();
    for keys in [None, Some(partwise_server::Keys::any())] {
        if let Some(keys) = keys {
            world.server.set_keys(keys);
        }
        for (name, value) in [
            ("authorization", &b"Bearer zz secret"[..]),
            ("authorization", b"Bearer Bearer zzsecret"),
            ("authorization", b"Bearer \"zz secret\""),
            ("authorization", b"Bearer zz\xfcsecret"),
            ("api-key", b"zz secret"),
            ("authorization", b"Bearer"),
            ("authorization", b"Bearer "),
            ("authorization", b"Basic zz secret"),
            ("api-key", b""),
        ] {
            let mut request = request("/v1/files", &[]);
            request.headers_mut().insert(name, http::HeaderValue::from_bytes(value).unwrap());
            let response = world.caller().send(request).await;
            let refused = ApiError::decode_response(&response);
            said += &format!("{} ({:?})\n", told(&refused), refused.error.code);
        }
    }
    assert!(!said.contains("zz"), "{said}");
    insta::assert_snapshot!(said, @"
    401: the key that was sent has a space in it: a key has visible ASCII characters alone, and no spaces (Some(InvalidApiKey))
    401: the key that was sent begins with `Bearer `, which is not part of it: a key has visible ASCII characters alone, and no spaces (Some(InvalidApiKey))
    401: the key that was sent has quotes around it, which are not part of it: a key has visible ASCII characters alone, and no spaces (Some(InvalidApiKey))
    401: the key that was sent has a character in it that is not ASCII: a key has visible ASCII characters alone, and no spaces (Some(InvalidApiKey))
    401: the key that was sent has a space in it: a key has visible ASCII characters alone, and no spaces (Some(InvalidApiKey))
    401: no key was sent: send it as `Authorization: Bearer` or as `api-key` (Some(InvalidApiKey))
    401: no key was sent: send it as `Authorization: Bearer` or as `api-key` (Some(InvalidApiKey))
    401: no key was sent: send it as `Authorization: Bearer` or as `api-key` (Some(InvalidApiKey))
    401: no key was sent: send it as `Authorization: Bearer` or as `api-key` (Some(InvalidApiKey))
    401: the key that was sent has a space in it: a key has visible ASCII characters alone, and no spaces (Some(InvalidApiKey))
    401: the key that was sent begins with `Bearer `, which is not part of it: a key has visible ASCII characters alone, and no spaces (Some(InvalidApiKey))
    401: the key that was sent has quotes around it, which are not part of it: a key has visible ASCII characters alone, and no spaces (Some(InvalidApiKey))
    401: the key that was sent has a character in it that is not ASCII: a key has visible ASCII characters alone, and no spaces (Some(InvalidApiKey))
    401: the key that was sent has a space in it: a key has visible ASCII characters alone, and no spaces (Some(InvalidApiKey))
    401: no key was sent: send it as `Authorization: Bearer` or as `api-key` (Some(InvalidApiKey))
    401: no key was sent: send it as `Authorization: Bearer` or as `api-key` (Some(InvalidApiKey))
    401: no key was sent: send it as `Authorization: Bearer` or as `api-key` (Some(InvalidApiKey))
    401: no key was sent: send it as `Authorization: Bearer` or as `api-key` (Some(InvalidApiKey))
    ");
    let request = request("/v1/files", &[("api-key", ""), ("authorization", "Bearer key-a")]);
    assert_eq!(world.caller().send(request).await.status(), StatusCode::OK, "an empty header is no key");
}

#[tokio::test]
async fn a_strangers_file_does_not_exist() {
    let world = World::new().await;
    let file = world.caller().create_file("mine.txt", b"secret").await;
    let stranger = world.stranger();
    let refusals: [ApiError; 3] = [
        stranger.call(&RetrieveFile::new(&file.id)).await.unwrap_err(),
        stranger.call(&DownloadFile::new(&file.id)).await.unwrap_err(),
        stranger.call(&DeleteFile::new(&file.id)).await.unwrap_err(),
    ];
    for refusal in &refusals {
        assert_eq!(told(refusal), format!("404: there is no file `{}`", file.id));
    }
    assert!(stranger.call(&ListFiles::new()).await.unwrap().data.is_empty());
    let mut behind = ListFiles::new();
    behind.after = Some(file.id.clone());
    assert!(stranger.call(&behind).await.unwrap().data.is_empty());
    assert_eq!(world.caller().download(&file.id).await.unwrap(), "secret");
}

#[tokio::test]
async fn a_strangers_upload_does_not_exist() {
    let world = World::new().await;
    let upload = world.caller().create_upload("mine.txt", 3).await;
    let part = world.caller().add_part(&upload, b"abc").await;
    let stranger = world.stranger();
    let missing = format!("404: there is no upload `{}`", upload.id);
    assert_eq!(told(&stranger.try_add_part(&upload, b"abc").await.unwrap_err()), missing);
    assert_eq!(
        told(&stranger.try_complete(&upload, std::slice::from_ref(&part)).await.unwrap_err()),
        missing
    );
    assert_eq!(told(&stranger.call(&CancelUpload::new(&upload.id)).await.unwrap_err()), missing);

    let own = stranger.create_upload("theirs.txt", 3).await;
    let refusal = stranger.try_complete(&own, std::slice::from_ref(&part)).await.unwrap_err();
    assert_eq!(told(&refusal), format!("400: the upload has no part `{part}`"));
    world.caller().complete(&upload, &[part]).await;
}

#[tokio::test]
async fn all_families_of_urls_show_the_same_files() {
    let world = World::new().await;
    let file = world.caller_of(azure("2024-10-21")).create_file("a.txt", b"a").await;
    for api in [openai(), azure("2024-06-01"), azure_v1()] {
        let caller = world.caller_of(api);
        assert_eq!(caller.call(&RetrieveFile::new(&file.id)).await.unwrap(), file);
        assert_eq!(caller.download(&file.id).await.unwrap(), "a");
    }
}
