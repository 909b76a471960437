//! Connections that are cut around the request that makes a file, over real sockets: what is sent again, and whose file
//! an upload ends with.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::SystemTime,
};

use bytes::Bytes;
use partwise::{Client, Error, stack::Stack};
use partwise_models::Purpose;
use partwise_protocol::upload::{Comparison, Phase, Plan, Proof, RouteChoice, UploadError};
use partwise_testkit::{
    errors::line,
    http1::{answer, read_head, read_request},
};
use tokio::{io::AsyncReadExt, net::TcpStream};

use crate::peer::{MIB, Peer, options};

/// What becomes of a `POST /files`.
#[derive(Clone, Copy, PartialEq)]
enum Cut {
    /// It is answered.
    Not,
    /// The connection is cut in the middle of the body.
    InBody,
    /// The file is made, and the connection is cut before the answer.
    BeforeAnswer,
}

/// A file's identifier and its content.
type Stored = (String, Vec<u8>);

/// A service that stores files, and cuts connections as its test wants it.
#[derive(Clone)]
struct Store {
    files: Arc<Mutex<Vec<Stored>>>,
    asked: Arc<Mutex<Vec<String>>>,
    serves_content: bool,
    /// By the number of the `POST`, counted from 0.
    cut: fn(usize) -> Cut,
}

impl Store {
    fn new(cut: fn(usize) -> Cut) -> Self {
        Self { files: Arc::default(), asked: Arc::default(), serves_content: true, cut }
    }

    async fn start(&self) -> Peer {
        let store = self.clone();
        Peer::start(move |stream, _| store.clone().serve(stream)).await
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn content(&self, id: &str) -> Vec<u8> {
        let files = self.files.lock().unwrap();
        files.iter().find(|(other, _)| other == id).unwrap().1.clone()
    }

    async fn serve(self, mut stream: TcpStream) {
        loop {
            let cut = self.cut_of_next();
            if cut == Cut::InBody {
                let Some(head) = read_head(&mut stream).await else { return };
                if head.text.starts_with("POST") {
                    self.note(&head.text);
                    let _ = stream.read(&mut [0; 1024]).await;
                    return;
                }
                return self.answer_get(&mut stream, &head.text).await;
            }
            let Some((head, body)) = read_request(&mut stream).await else { return };
            if !head.starts_with("POST") {
                self.answer_get(&mut stream, &head).await;
                continue;
            }
            self.note(&head);
            let object = self.store(content_of(&body));
            if cut == Cut::BeforeAnswer {
                return;
            }
            answer(&mut stream, 200, &date(), &object).await;
        }
    }

    fn cut_of_next(&self) -> Cut {
        let posts = self.asked.lock().unwrap().iter().filter(|line| line.starts_with("POST")).count();
        (self.cut)(posts)
    }

    fn note(&self, head: &str) {
        self.asked.lock().unwrap().push(head.lines().next().unwrap().to_owned());
    }

    fn store(&self, content: Vec<u8>) -> String {
        let mut files = self.files.lock().unwrap();
        let id = format!("file-{:03}", files.len());
        let object = object(&id, content.len());
        files.push((id, content));
        object
    }

    async fn answer_get(&self, stream: &mut TcpStream, head: &str) {
        self.note(head);
        let path = head.split(' ').nth(1).unwrap();
        match path.strip_prefix("/v1/files/").and_then(|path| path.strip_suffix("/content")) {
            Some(_) if !self.serves_content => {
                let refusal =
                    r#"{"error":{"message":"Not allowed to download files of purpose: assistants"}}"#;
                answer(stream, 400, "", refusal).await;
            }
            Some(id) => {
                let content = String::from_utf8(self.content(id)).unwrap();
                answer(stream, 200, "Content-Type: application/octet-stream\r\n", &content).await;
            }
            None => {
                let objects: Vec<_> = {
                    let files = self.files.lock().unwrap();
                    files.iter().map(|(id, content)| object(id, content.len())).collect()
                };
                let list = format!(r#"{{"data":[{}],"has_more":false}}"#, objects.join(","));
                answer(stream, 200, &date(), &list).await;
            }
        }
    }
}

fn now() -> SystemTime {
    SystemTime::now()
}

fn date() -> String {
    format!("Date: {}\r\n", httpdate::fmt_http_date(now()))
}

fn object(id: &str, bytes: usize) -> String {
    let created = now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    format!(
        r#"{{"id":"{id}","bytes":{bytes},"filename":"report.txt","purpose":"assistants","created_at":{created}}}"#
    )
}

/// The content in the form: it stands behind the head of the part that has a filename.
fn content_of(body: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(body.to_vec()).unwrap();
    let (_, rest) = text.split_once("filename=").unwrap();
    let (_, content) = rest.split_once("\r\n\r\n").unwrap();
    content.split_once("\r\n--").unwrap().0.as_bytes().to_vec()
}

fn plan() -> Plan {
    let mut plan = Plan::new("report.txt", "text/plain", Purpose::Assistants);
    plan.route = RouteChoice::Single;
    plan
}

fn client(peer: &Peer) -> Client {
    let key = partwise_protocol::Credential::key("a-secret-key").unwrap();
    Client::builder(peer.api(), key).transport(Stack::new(options())).build()
}

#[tokio::test]
async fn an_upload_whose_connection_was_cut_in_its_body_is_sent_again_and_not_looked_for() {
    let store = Store::new(|post| if post == 1 { Cut::InBody } else { Cut::Not });
    let peer = store.start().await;
    let client = client(&peer);
    let [a, b] = [b'a', b'b'].map(|letter| Bytes::from(vec![letter; 64 * MIB as usize]));
    let first = client.upload_as(plan(), a).await.unwrap();
    let second = client.upload_as(plan(), b.clone()).await.unwrap();
    assert_ne!(first.id, second.id);
    assert_eq!(store.content(&second.id), b);
    assert_eq!(store.asked(), ["POST /v1/files HTTP/1.1"; 3]);
}

#[tokio::test]
async fn the_file_of_an_earlier_upload_is_never_taken_for_that_of_a_later_one() {
    let store = Store::new(|post| if post == 1 { Cut::BeforeAnswer } else { Cut::Not });
    let peer = store.start().await;
    // Two clients know nothing of each other, so the content has to tell.
    let first = client(&peer).upload_as(plan(), Bytes::from_static(b"aaaa")).await.unwrap();
    let upload = client(&peer).upload_as(plan(), Bytes::from_static(b"bbbb")).prepare().await.unwrap();
    let progress = upload.progress();
    let second = upload.run().await.unwrap();
    assert_eq!((store.content(&first.id), store.content(&second.id)), (b"aaaa".to_vec(), b"bbbb".to_vec()));
    let progress = progress.borrow();
    assert_eq!((progress.phase, progress.proof), (Phase::Done, Some(Proof::Content)));
    assert_eq!(store.asked().iter().filter(|line| line.starts_with("POST")).count(), 2);
}

#[tokio::test]
async fn uploads_at_once_that_lose_their_answers_end_each_with_its_own_file() {
    let store = Store::new(|post| if post < 8 { Cut::BeforeAnswer } else { Cut::Not });
    let peer = store.start().await;
    let client = client(&peer);
    let uploads = (0..8).map(|number| {
        let (client, content) = (client.clone(), Bytes::from(format!("file {number}")));
        tokio::spawn(async move { (client.upload_as(plan(), content.clone()).await, content) })
    });
    let mut ids = HashSet::new();
    for upload in uploads.collect::<Vec<_>>() {
        let (file, content) = upload.await.unwrap();
        let file = file.unwrap_or_else(|error| panic!("{}", line(&error)));
        assert_eq!(store.content(&file.id), content);
        assert!(ids.insert(file.id));
    }
    assert_eq!(store.files.lock().unwrap().len(), 8, "no second file of any");
}

#[tokio::test]
async fn where_content_is_not_served_the_candidate_is_named_and_nothing_is_guessed() {
    let store = Store { serves_content: false, ..Store::new(|_| Cut::BeforeAnswer) };
    let peer = store.start().await;
    let error = client(&peer).upload_as(plan(), Bytes::from_static(b"aaaa")).await.unwrap_err();
    let Error::Upload(error) = error else { panic!("{}", line(&error)) };
    let UploadError::CompletionUnknown { candidates: Some(candidates), .. } = &*error else {
        panic!("{}", line(&*error));
    };
    assert_eq!(candidates.iter().map(|file| file.id.as_str()).collect::<Vec<_>>(), ["file-000"]);
    assert_eq!(store.files.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn content_is_compared_with_a_source() {
    let store = Store::new(|_| Cut::Not);
    let peer = store.start().await;
    let client = client(&peer);
    let file = client.upload_as(plan(), Bytes::from_static(b"aaaa")).await.unwrap();
    let compare = |content: &'static str| client.compare(&file.id, Bytes::from(content));
    assert!(matches!(compare("aaaa").await.unwrap(), Comparison::Equal));
    assert!(matches!(compare("aaab").await.unwrap(), Comparison::Different));
    // Content of another length is not what the list has shown: a page of a gateway, for instance.
    assert!(matches!(compare("aaa").await.unwrap(), Comparison::Unknown));
}
