//! Content in clouds: how it is written and read, and what cuts it short.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use partwise_models::{CompleteUploadRequest, Purpose};
use partwise_protocol::operations::{CompleteUpload, DownloadFile, ListFiles, RetrieveFile};
use partwise_testkit::{
    cloud::{Dialect, FakeCloud, Fault, Kind},
    content::noise,
};
use tower_service::Service as _;

use crate::world::{World, complete, new_file, settle};

const MIB: usize = 1024 * 1024;

/// The bytes of each request of a kind, in the order of the answers.
fn sizes(cloud: &FakeCloud, kind: Kind) -> Vec<usize> {
    cloud.seen().iter().filter(|seen| seen.kind == kind).map(|seen| seen.bytes).collect()
}

async fn world(dialect: Dialect) -> (FakeCloud, World) {
    let cloud = FakeCloud::new();
    let world = World::over(cloud.store(dialect)).await;
    cloud.forget();
    (cloud, world)
}

#[tokio::test]
async fn a_large_file_is_stored_in_pieces_of_8_mib_and_a_smaller_one_at_once() {
    for dialect in Dialect::ALL {
        let (cloud, world) = world(dialect).await;
        let caller = world.caller();
        for (bytes, pieces) in [
            (20 * MIB, &[8 * MIB, 8 * MIB, 4 * MIB][..]),
            (16 * MIB, &[8 * MIB, 8 * MIB]),
            (8 * MIB + 1, &[8 * MIB, 1]),
            (8 * MIB, &[]),
            (1, &[]),
        ] {
            cloud.forget();
            let content = noise(bytes);
            let file = caller.create_file("large.bin", &content).await;
            assert_eq!(sizes(&cloud, Kind::Part), pieces, "{dialect:?}, {bytes} bytes");
            let whole = if pieces.is_empty() { vec![bytes] } else { vec![] };
            assert_eq!(sizes(&cloud, Kind::Put), whole, "{dialect:?}, {bytes} bytes");
            let begun = usize::from(!pieces.is_empty() && dialect != Dialect::Azure);
            let completed = usize::from(!pieces.is_empty());
            assert_eq!(
                (cloud.count(Kind::Begin), cloud.count(Kind::Complete)),
                (begun, completed),
                "{dialect:?}"
            );
            assert!(caller.download(&file.id).await.unwrap() == content, "{dialect:?}, {bytes} bytes");
        }
        assert_eq!(cloud.unfinished(), 0, "{dialect:?}");
    }
}

#[tokio::test]
async fn a_large_part_of_an_upload_is_stored_in_pieces_and_read_across_parts() {
    for dialect in Dialect::ALL {
        let (cloud, world) = world(dialect).await;
        let caller = world.caller();
        let (first, second) = (noise(9 * MIB), noise(3 * MIB));
        let file = caller.create_file_of_parts("large.bin", &[&first, &second]).await;
        assert_eq!(sizes(&cloud, Kind::Part), [8 * MIB, MIB], "{dialect:?}");
        assert_eq!(sizes(&cloud, Kind::Put), [3 * MIB], "{dialect:?}");
        let whole = [first, second].concat();
        assert!(caller.download(&file.id).await.unwrap() == whole, "{dialect:?}");
        let (from, to) = (9 * MIB - 3, 9 * MIB + 3);
        let range = caller.plain("GET", &format!("/files/{}/content", file.id));
        let range = range.header("range", format!("bytes={from}-{}", to - 1)).body(Bytes::new()).unwrap();
        let answer = caller.send(range).await;
        assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT, "{dialect:?}");
        assert_eq!(answer.body(), &whole[from..to], "{dialect:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_file_is_stored_although_answers_are_lost() {
    let content = noise(20 * MIB);
    for dialect in Dialect::ALL {
        let (cloud, world) = world(dialect).await;
        let caller = world.caller();
        for fault in [Fault::LoseAnswer, Fault::FailAfterwards(503), Fault::Reject(503), Fault::LoseRequest] {
            for kind in [Kind::Begin, Kind::Part, Kind::Complete] {
                cloud.heal();
                cloud.on(kind).first(1, fault);
                let created = caller.call(&new_file(Purpose::Assistants, "large.bin", &content)).await;
                let file = created.unwrap();
                assert!(
                    caller.download(&file.id).await.unwrap() == content,
                    "{dialect:?}, {kind:?}, {fault:?}"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_given_up_leaves_no_pieces() {
    for dialect in Dialect::ALL {
        let (cloud, world) = world(dialect).await;
        let caller = world.caller();
        cloud.on(Kind::Part).nth(2, Fault::Reject(400));
        let refused = caller.call(&new_file(Purpose::Assistants, "large.bin", &noise(20 * MIB))).await;
        assert_eq!(refused.unwrap_err().status, StatusCode::SERVICE_UNAVAILABLE, "{dialect:?}");
        settle().await;
        // Azure drops blocks after a week, and cannot be told to.
        assert_eq!(cloud.unfinished(), usize::from(dialect == Dialect::Azure), "{dialect:?}");
        assert_eq!(cloud.keys(), ["partwise.json"], "{dialect:?}");
    }
}

/// The answer to a request; `None` when its body does not come whole.
async fn whole(world: &World, request: Request<Bytes>) -> Option<Response<Bytes>> {
    let answer = world.server.clone().call(request.map(Full::new)).await.unwrap();
    let (head, body) = answer.into_parts();
    let body = body.collect().await.ok()?.to_bytes();
    let length = head.headers.get("content-length").map(|length| length.to_str().unwrap().parse().unwrap());
    (length.is_none_or(|length: usize| length == body.len())).then(|| Response::from_parts(head, body))
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_the_store_that_is_cut_short_is_never_a_wrong_success() {
    for dialect in Dialect::ALL {
        let (cloud, world) = world(dialect).await;
        let caller = world.caller();
        let upload = caller.create_upload("ab.txt", 200).await;
        let part = caller.add_part(&upload, &noise(200)).await;
        let parts = [part];
        let file = caller.complete(&upload, &parts).await;
        let wrong = CompleteUploadRequest::new(parts.to_vec()).md5("0".repeat(32));
        let requests: [(&str, Request<Bytes>); 5] = [
            ("retrieve", caller.request(&RetrieveFile::new(&file.id))),
            ("download", caller.request(&DownloadFile::new(&file.id))),
            ("list", caller.request(&ListFiles::new())),
            ("complete again", caller.request(&complete(&upload, &parts))),
            ("complete with a wrong md5", caller.request(&CompleteUpload::new(&upload.id, wrong))),
        ];
        for (name, request) in requests {
            cloud.heal();
            let right = whole(&world, request.clone()).await.unwrap();
            for kind in [Kind::Get, Kind::List] {
                for bytes in [0, 1, 10, 50, 150] {
                    for is_always in [false, true] {
                        cloud.heal();
                        let rule = cloud.on(kind);
                        if is_always {
                            rule.every(Fault::Truncate(bytes));
                        } else {
                            rule.first(1, Fault::Truncate(bytes));
                        }
                        let what =
                            format!("{dialect:?}: {name}, {kind:?} cut after {bytes}, always: {is_always}");
                        let answer = whole(&world, request.clone()).await;
                        if kind == Kind::Get && !is_always {
                            assert_eq!(answer.as_ref().map(Response::status), Some(right.status()), "{what}");
                        }
                        match answer {
                            None => assert!(name == "download" || name == "list", "{what}"),
                            Some(answer) if answer.status().is_server_error() => {
                                assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{what}");
                            }
                            Some(answer) => {
                                assert_eq!(
                                    (answer.status(), answer.body()),
                                    (right.status(), right.body()),
                                    "{what}"
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}
