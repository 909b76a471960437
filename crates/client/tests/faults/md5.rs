//! The digest of the whole file, compared by the server with what it received.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use http::StatusCode;
use partwise::{FileSource, Source};
use partwise_protocol::upload::{Plan, SourceStamp};
use partwise_testkit::errors::line;

use crate::world::{KIB, Security, World, plan};

fn with_md5() -> Plan {
    let mut plan = plan();
    plan.md5 = true;
    plan
}

#[tokio::test]
async fn a_file_that_arrived_as_it_was_read_passes() {
    for security in [Security::Plain, Security::Tls] {
        let world = World::new(security).await;
        let file = world.client(world.front).upload_as(with_md5(), world.source()).await.unwrap();
        world.assert_whole(&file).await;
    }
}

/// One byte of it is another from the second time on that it is read, and its stamp says nothing.
struct Lying {
    file: FileSource,
    times_read: AtomicU64,
}

/// Where that byte stands.
const LIE: u64 = 300 * KIB;

impl Source for Lying {
    fn stamp(&self) -> io::Result<SourceStamp> {
        self.file.stamp()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let filled = self.file.read_at(offset, buffer)?;
        let Some(at) = LIE.checked_sub(offset).filter(|at| *at < filled as u64) else { return Ok(filled) };
        if self.times_read.fetch_add(1, SeqCst) > 0 {
            buffer[at as usize] ^= 1;
        }
        Ok(filled)
    }
}

#[tokio::test]
async fn a_file_that_is_not_what_was_hashed_is_refused_with_both_digests() {
    for security in [Security::Plain, Security::Tls] {
        let world = World::new(security).await;
        let source = Arc::new(Lying { file: world.source(), times_read: AtomicU64::new(0) });
        let upload = world.client(world.front).upload_as(with_md5(), source).prepare().await.unwrap();
        let error = upload.save_to(world.checkpoint()).run().await.unwrap_err();
        assert_eq!(error.rejection().unwrap().status, StatusCode::BAD_REQUEST, "{}", line(&error));
        let told = error.rejection().unwrap().error.message.clone().unwrap();
        let words: Vec<&str> = told.split(' ').collect();
        let ["the", "parts", "named", "have", "the", "MD5", found, "not", sent] = words[..] else {
            panic!("{told}");
        };
        assert!(found.trim_end_matches(',').len() == 32 && sent.len() == 32, "{told}");
        assert_eq!(error.rejection().unwrap().error.param.as_deref(), Some("md5"));
        assert!(world.files().await.is_empty());
        assert_eq!(world.checkpoint().load().unwrap(), None, "the same parts would be refused again");
    }
}
