//! How connections are opened, used again, and closed.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use partwise::{Client, stack::Stack};
use partwise_protocol::{Credential, operations::RetrieveFile, retry::RetryPolicy, transport::FailureKind};
use partwise_testkit::{
    errors::line,
    http1::{answer, answer_all, read_head, read_request},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::{Barrier, Semaphore, mpsc},
    time::timeout,
};

use crate::peer::{A_FILE, A_PART, MIB, Peer, client, options, part, zeros};

/// For whoever waits for what must come.
const SAFETY: Duration = Duration::from_secs(60);

fn a_file() -> RetrieveFile {
    RetrieveFile::new("file-1")
}

#[tokio::test]
async fn requests_in_turn_share_one_connection() {
    let peer = Peer::start(|stream, _| answer_all(stream, A_PART)).await;
    let client = peer.client(options());
    for len in [0, 1, MIB, 3] {
        client.call_with(&part(len), zeros(len)).await.unwrap();
    }
    assert_eq!(peer.accepted(), 1);
}

#[tokio::test]
async fn requests_side_by_side_have_a_connection_each_and_keep_it() {
    let all_there = Arc::new(Barrier::new(4));
    let peer = Peer::start(move |mut stream, _| {
        let all_there = all_there.clone();
        async move {
            while read_request(&mut stream).await.is_some() {
                all_there.wait().await;
                answer(&mut stream, 200, "", A_FILE).await;
            }
        }
    })
    .await;
    let client = peer.client(options());
    for _ in 0..3 {
        let answers = join_all((0..4).map(|_| async { client.call(&a_file()).await.unwrap() })).await;
        assert_eq!(answers.len(), 4);
    }
    assert_eq!(peer.accepted(), 4);
}

#[tokio::test]
async fn connections_that_are_not_needed_any_more_are_closed_and_a_pause_closes_none() {
    let (all_there, answers) = (Arc::new(Barrier::new(4)), Arc::new(Semaphore::new(0)));
    let (closed, mut was_closed) = mpsc::unbounded_channel();
    let waits = answers.clone();
    let peer = Peer::start(move |mut stream, _| {
        let (all_there, closed, answers) = (all_there.clone(), closed.clone(), waits.clone());
        async move {
            read_request(&mut stream).await.unwrap();
            all_there.wait().await;
            answer(&mut stream, 200, "", A_FILE).await;
            while read_request(&mut stream).await.is_some() {
                answers.acquire().await.unwrap().forget();
                answer(&mut stream, 200, "", A_FILE).await;
            }
            closed.send(()).unwrap();
        }
    })
    .await;
    let client = peer.client(options());
    let call = async || client.call(&a_file()).await.unwrap();
    join_all((0..4).map(|_| call())).await;
    pass(6).await;
    answers.add_permits(5);
    call().await;
    join_all((0..4).map(|_| call())).await;
    assert!(was_closed.try_recv().is_err(), "in a pause, none of them is needed");
    let permit = async {
        pass(1).await;
        answers.add_permits(2);
    };
    tokio::join!(call(), permit);
    call().await;
    for _ in 0..3 {
        timeout(SAFETY, was_closed.recv()).await.unwrap().unwrap();
    }
    assert_eq!(peer.accepted(), 4);
}

/// Lets so many seconds pass at once.
async fn pass(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn there_are_never_more_connections_than_allowed() {
    let peer = Peer::start(|stream, _| answer_all(stream, A_FILE)).await;
    let client = peer.client(options().connections(2));
    let answers = join_all((0..20).map(|_| async { client.call(&a_file()).await })).await;
    assert!(answers.iter().all(Result::is_ok));
    assert!(peer.accepted() <= 2, "{} connections", peer.accepted());
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_replaced_unseen() {
    let (closed, mut was_closed) = mpsc::unbounded_channel();
    let peer = Peer::start(move |mut stream, _| {
        let closed = closed.clone();
        async move {
            read_request(&mut stream).await.unwrap();
            answer(&mut stream, 200, "", A_PART).await;
            drop(stream);
            closed.send(()).unwrap();
        }
    })
    .await;
    let client = peer.client(options());
    for _ in 0..20 {
        client.call_with(&part(9), zeros(9)).await.unwrap();
        was_closed.recv().await.unwrap();
    }
    assert_eq!(peer.accepted(), 20);
}

#[tokio::test]
async fn an_answer_that_closes_is_read_and_its_connection_not_used_again() {
    let peer = Peer::start(|mut stream, _| async move {
        read_request(&mut stream).await.unwrap();
        answer(&mut stream, 200, "Connection: close\r\n", A_FILE).await;
    })
    .await;
    let client = peer.client(options());
    client.call(&a_file()).await.unwrap();
    client.call(&a_file()).await.unwrap();
    assert_eq!(peer.accepted(), 2);
}

#[tokio::test]
async fn dropping_the_client_closes_idle_connections() {
    let (closed, mut was_closed) = mpsc::unbounded_channel();
    let peer = Peer::start(move |stream, _| {
        let closed = closed.clone();
        async move {
            answer_all(stream, A_FILE).await;
            closed.send(()).unwrap();
        }
    })
    .await;
    let client = peer.client(options());
    client.call(&a_file()).await.unwrap();
    drop(client);
    was_closed.recv().await.unwrap();
    let alive = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert!(alive <= 2, "{alive} tasks are left, and only the peer should be");
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_middle_is_an_interruption() {
    for cut in [0, 100, 3 * MIB] {
        let peer = Peer::start(move |mut stream, _| async move {
            read_head(&mut stream).await.unwrap();
            let mut some = vec![0; usize::try_from(cut).unwrap()];
            stream.read_exact(&mut some).await.unwrap();
        })
        .await;
        let error = peer.client(options()).call_with(&part(8 * MIB), zeros(8 * MIB)).await.unwrap_err();
        assert_eq!(error.failure(), Some(FailureKind::Interrupted), "{}", line(&error));
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_interruption() {
    let peer = Peer::start(|mut stream, _| async move {
        read_request(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"id\":").await.unwrap();
    })
    .await;
    let error = peer.client(options()).call(&a_file()).await.unwrap_err();
    assert_eq!(error.failure(), Some(FailureKind::Interrupted), "{}", line(&error));
}

#[tokio::test]
async fn what_failed_on_the_way_is_tried_again_when_that_is_harmless() {
    let peer = Peer::start(|mut stream, connection| async move {
        read_request(&mut stream).await.unwrap();
        if connection == 2 {
            answer(&mut stream, 200, "", A_FILE).await;
        }
    })
    .await;
    let mut patient = RetryPolicy::default();
    patient.base_wait = Duration::from_millis(1);
    let file = peer.client(options()).to_builder().retry(patient).build().call(&a_file()).await.unwrap();
    assert_eq!((file.id.as_str(), peer.accepted()), ("file-1", 3));
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_named_in_one_line() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let api = partwise_protocol::Api::with_base(
        &format!("http://{address}/v1"),
        partwise_protocol::Dialect::OpenAi,
    );
    let error = client(api.unwrap(), options()).call(&a_file()).await.unwrap_err();
    assert_eq!(error.failure(), Some(FailureKind::Connect));
    let line = line(&error);
    assert!(
        line.starts_with(&format!("the service could not be reached: cannot connect to {address}: ")),
        "{line}"
    );
    assert!(line.to_lowercase().contains("connection refused"), "{line}");
}

#[tokio::test]
async fn a_host_that_does_not_exist_is_named_in_one_line() {
    let api =
        partwise_protocol::Api::with_base("https://nobody.invalid/v1", partwise_protocol::Dialect::OpenAi);
    let error = client(api.unwrap(), options()).call(&a_file()).await.unwrap_err();
    assert_eq!(error.failure(), Some(FailureKind::Connect));
    let line = line(&error);
    let expected = "the service could not be reached: the host `nobody.invalid` is not known: ";
    assert!(line.starts_with(expected), "{line}");
}

#[tokio::test]
async fn what_does_not_speak_http_is_told_so() {
    let peer = Peer::start(|mut stream, _| async move {
        stream.write_all(b"220 mail.example ESMTP ready\r\n").await.unwrap();
        read_request(&mut stream).await;
    })
    .await;
    let error = peer.client(options()).call(&a_file()).await.unwrap_err();
    assert_eq!(error.failure(), Some(FailureKind::Unsent));
    let expected =
        format!("the request could not be sent: what listens at {} does not speak HTTP: ", peer.address);
    assert!(line(&error).starts_with(&expected), "{}", line(&error));
}

/// What cannot be read from where HTTP is spoken is an answer that was lost: the service may have acted.
#[tokio::test]
async fn garbage_from_where_an_answer_came_before_is_an_interruption() {
    for close in ["", "Connection: close\r\n"] {
        let peer = Peer::start(move |mut stream, connection| async move {
            if connection == 0 {
                read_request(&mut stream).await.unwrap();
                answer(&mut stream, 200, close, A_FILE).await;
            }
            if read_request(&mut stream).await.is_some() {
                stream.write_all(b"220 mail.example ESMTP ready\r\n").await.unwrap();
            }
        })
        .await;
        let client = peer.client(options());
        client.call(&a_file()).await.unwrap();
        let error = client.call(&a_file()).await.unwrap_err();
        assert_eq!(error.failure(), Some(FailureKind::Interrupted), "{}", line(&error));
        let expected = format!("the connection broke: what {} answered cannot be read: ", peer.address);
        assert!(line(&error).starts_with(&expected), "{}", line(&error));
    }
}

#[tokio::test]
async fn an_answer_that_begins_as_http_and_goes_on_as_garbage_is_an_interruption() {
    let peer = Peer::start(move |mut stream, _| async move {
        read_request(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 2\x80\x80\r\n\r\n").await.unwrap();
    })
    .await;
    let error = peer.client(options()).call(&a_file()).await.unwrap_err();
    assert_eq!(error.failure(), Some(FailureKind::Interrupted), "{}", line(&error));
}

/// Whether the first bytes are there before the request is sent, or after, is for the machine to say.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_speaks_first_is_told_that_it_does_not_speak_http() {
    let peer = Peer::start(|mut stream, _| async move {
        stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n").await.unwrap();
        read_request(&mut stream).await;
    })
    .await;
    let client = peer.client(options());
    let expected =
        format!("the request could not be sent: what listens at {} does not speak HTTP", peer.address);
    for round in 0..100 {
        let error = client.call(&a_file()).await.unwrap_err();
        assert_eq!(error.failure(), Some(FailureKind::Unsent), "round {round}: {}", line(&error));
        assert!(line(&error).starts_with(&expected), "round {round}: {}", line(&error));
    }
}

/// Whether it closes before the request is sent, or after, is for the machine to say; and now and then it does so while
/// the request is being handed to the connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_closes_at_once_may_be_asked_again() {
    let peer = Peer::start(|stream, _| async move { drop(stream) }).await;
    let client = peer.client(options());
    let at = peer.address;
    for round in 0..4000 {
        let asked = timeout(SAFETY, client.call_with(&part(9), zeros(9))).await;
        let error = asked.unwrap_or_else(|_| panic!("round {round}: it never ends")).unwrap_err();
        let expected = match error.failure() {
            Some(FailureKind::Connect) => format!(
                "the service could not be reached: the connection to {at} was closed before the request was sent"
            ),
            Some(FailureKind::Interrupted) => {
                format!(
                    "the connection broke: the connection to {at} was closed before the answer was complete: "
                )
            }
            _ => panic!("round {round}: {}", line(&error)),
        };
        assert!(line(&error).starts_with(&expected), "round {round}: {}", line(&error));
    }
}

#[tokio::test]
async fn a_key_does_not_go_over_plain_http_to_another_machine() {
    // An address of the range for documentation: nobody would answer there, and nobody is asked.
    let api =
        partwise_protocol::Api::with_base("http://192.0.2.1/v1", partwise_protocol::Dialect::OpenAi).unwrap();
    let client =
        Client::builder(api, Credential::key("secret").unwrap()).transport(Stack::new(options())).build();
    let error = client.call(&a_file()).await.unwrap_err();
    assert_eq!(
        line(&error),
        "the request could not be sent: the key would go to 192.0.2.1 over plain http, where anyone on the way can \
         read it: use https"
    );
}
