//! Peers that are asked for ranges of a file, and where the file goes.

use std::{
    fs::{self, File},
    ops::Range,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use partwise::{CheckpointJournal, FileTarget};
use partwise_protocol::{
    download::{DownloadCheckpoint, DownloadPlan},
    retry::RetryPolicy,
};
use partwise_testkit::http1::{answer, read_request};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::peer::{Peer, is_for_content};

pub(crate) const ETAG: &str = "ETag: \"1\"\r\n";

pub(crate) fn plan(id: &str, range_size: u64) -> DownloadPlan {
    let mut plan = DownloadPlan::new(id);
    plan.range_size = Some(range_size);
    plan.retry = Some(RetryPolicy::default().base_wait(Duration::from_millis(1)).max_failures(3));
    plan
}

/// Where a download goes, and its journal.
pub(crate) struct Folder(pub(crate) tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("target")
    }

    pub(crate) fn journal(&self) -> File {
        let path = self.0.path().join("journal");
        File::options().read(true).write(true).create(true).truncate(false).open(path).unwrap()
    }

    pub(crate) fn target(&self) -> FileTarget {
        FileTarget::open(self.path()).unwrap()
    }

    /// Where checkpoints are kept.
    pub(crate) fn store(&self) -> CheckpointJournal {
        CheckpointJournal::of(self.journal())
    }

    pub(crate) fn last_checkpoint(&self) -> Option<DownloadCheckpoint> {
        CheckpointJournal::last(&mut self.journal()).unwrap()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }
}

/// What a peer does with one request: it says this head, then as many bytes as there are, and closes when those are fewer
/// than the head had promised.
pub(crate) struct Reply {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) then_close: bool,
}

pub(crate) fn part(content: &[u8], range: Range<usize>, more: &str) -> Reply {
    let (length, last, total) = (range.len(), range.end - 1, content.len());
    let head = format!(
        "HTTP/1.1 206 Part\r\nContent-Length: {length}\r\nContent-Range: bytes {}-{last}/{total}\r\n{more}\r\n",
        range.start
    );
    Reply { head, body: content[range].to_vec(), then_close: false }
}

pub(crate) fn whole(content: &[u8], more: &str) -> Reply {
    let head = format!("HTTP/1.1 200 Whole\r\nContent-Length: {}\r\n{more}\r\n", content.len());
    Reply { head, body: content.to_vec(), then_close: false }
}

impl Reply {
    pub(crate) fn cut(mut self, after: usize) -> Self {
        self.body.truncate(after);
        self.then_close = true;
        self
    }
}

/// The ranges that a peer was asked for, in order; `None` is everything.
pub(crate) type Asked = Arc<Mutex<Vec<Option<Range<usize>>>>>;

/// Answers every request as `reply` says, which is told how many there were before and which bytes are asked for.
pub(crate) async fn peer(reply: impl Answers) -> (Peer, Asked) {
    let asked = Asked::default();
    let (reply, log) = (Arc::new(reply), asked.clone());
    let peer = Peer::start(move |stream, _| answer_ranges(stream, reply.clone(), log.clone())).await;
    (peer, asked)
}

/// How requests are answered.
pub(crate) trait Answers: Fn(usize, Option<Range<usize>>) -> Reply + Send + Sync + 'static {}

impl<F: Fn(usize, Option<Range<usize>>) -> Reply + Send + Sync + 'static> Answers for F {}

/// Answers the requests for content of one connection. It gives no object of the file.
pub(crate) async fn answer_ranges(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    reply: Arc<impl Answers>,
    log: Asked,
) {
    while let Some((head, _)) = read_request(&mut stream).await {
        if !is_for_content(&head) {
            answer(&mut stream, 404, "", "{}").await;
            continue;
        }
        let range = head.lines().find_map(|line| {
            let line = line.to_ascii_lowercase();
            let (first, last) = line.strip_prefix("range: bytes=")?.split_once('-')?;
            let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
            Some(first..last + 1)
        });
        let reply = {
            let mut log = log.lock().unwrap();
            log.push(range.clone());
            reply(log.len() - 1, range)
        };
        // Nobody may be there any more to read it.
        let _ = stream.write_all(reply.head.as_bytes()).await;
        let _ = stream.write_all(&reply.body).await;
        let _ = stream.flush().await;
        if reply.then_close {
            return;
        }
    }
}

pub(crate) fn within(range: Option<Range<usize>>, content: &[u8]) -> Range<usize> {
    let range = range.unwrap();
    range.start..range.end.min(content.len())
}

/// How many bytes were asked for in all.
pub(crate) fn sum(asked: &Asked, length: usize) -> usize {
    asked.lock().unwrap().iter().flatten().map(|range| range.end.min(length) - range.start).sum()
}
