//! The fake over a socket.

use partwise_testkit::cloud::{BUCKET, FakeCloud, Fault, KEY, Kind, Listening};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// The answer to a request of Google's dialect on a connection of its own: all that came of it.
async fn ask(listening: &Listening, method: &str, key: &str, body: &str) -> String {
    let address = listening.endpoint();
    let mut stream = TcpStream::connect(address.strip_prefix("http://").unwrap()).await.unwrap();
    let head = format!(
        "{method} /{BUCKET}/{key} HTTP/1.1\r\nHost: fake\r\nAuthorization: Bearer {KEY}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A connection that ends early may do so with an error.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn it_serves_the_same_objects_over_a_socket() {
    let cloud = FakeCloud::new();
    let listening = cloud.listen().await;
    assert!(ask(&listening, "PUT", "a", "0123456789").await.starts_with("HTTP/1.1 200 OK"));
    assert_eq!(cloud.object("a").unwrap(), "0123456789");
    let answer = ask(&listening, "GET", "a", "").await;
    assert!(answer.contains("\r\netag: \"1\"\r\n") && answer.ends_with("\r\n\r\n0123456789"), "{answer}");
    let head = ask(&listening, "HEAD", "a", "").await;
    assert!(head.contains("\r\ncontent-length: 10\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(ask(&listening, "DELETE", "a", "").await.starts_with("HTTP/1.1 204"));
    assert!(ask(&listening, "GET", "a", "").await.contains("<Code>NoSuchKey</Code>"));
}

#[tokio::test]
async fn a_lost_answer_is_a_connection_that_ends_and_a_truncated_one_a_short_body() {
    let cloud = FakeCloud::new();
    let listening = cloud.listen().await;
    cloud.on(Kind::Put).first(1, Fault::LoseAnswer);
    assert_eq!(ask(&listening, "PUT", "a", "0123456789").await, "");
    assert_eq!(cloud.object("a").unwrap(), "0123456789");
    cloud.on(Kind::Get).first(1, Fault::Truncate(4));
    let answer = ask(&listening, "GET", "a", "").await;
    assert!(answer.contains("\r\ncontent-length: 10\r\n") && answer.ends_with("\r\n\r\n0123"), "{answer}");
    cloud.on(Kind::Get).every(Fault::RejectFor { status: 503, seconds: 7 });
    let answer = ask(&listening, "GET", "a", "").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("\r\nretry-after: 7\r\n"), "{answer}");
}
