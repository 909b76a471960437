//! Kills that take the server with them.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{command::Uploader, seed};

const MEBIBYTES: usize = 1024;
const PARTS: usize = MEBIBYTES / 4;
const FLAGS: &[&str] = &["--parallel", "4", "--part-size", "4MiB", "--stats"];
const KILLS: usize = 8;

/// For what must come.
const SAFETY: Duration = Duration::from_secs(120);

#[test]
fn a_gibibyte_arrives_whole_though_the_server_is_killed_with_the_command() {
    let mut random = seed::random();
    let mut uploader = Uploader::new(MEBIBYTES, FLAGS);
    let state = uploader.state();
    // Far enough from the end that no kill comes too late.
    let stretch = PARTS * 3 / 4 / KILLS;
    for number in 0..KILLS {
        let before = state.saved();
        // None at all for the first: it may be anywhere in what comes before the upload.
        let wanted = if number == 0 { 0 } else { number * stretch + random.usize(..stretch) };
        let mut run = uploader.start();
        let begin = Instant::now();
        while state.saved().map_or(0, |saved| saved.parts.len()) < wanted {
            assert!(run.is_going_on(), "it has ended before it was killed");
            assert!(begin.elapsed() < SAFETY, "the moment never comes");
            sleep(Duration::from_millis(1));
        }
        sleep(Duration::from_micros(random.u64(..30_000)));
        run.kill();
        let after = state.saved();
        println!("kill {number}: {} parts are known", after.as_ref().map_or(0, |after| after.parts.len()));
        if let Some(before) = before {
            let after = after.expect("a checkpoint stays");
            assert_eq!(before.upload, after.upload);
            assert!(before.parts.iter().all(|(offset, id)| after.parts.get(offset) == Some(id)));
        }
    }
    let known = state.saved().map_or(0, |saved| saved.parts.len());
    let printed = uploader.start().finish();
    assert!(printed.said.starts_with("resuming upload_"), "{}", printed.said);
    let attempts = &printed.objects[1]["attempts"];
    assert_eq!(
        (&attempts["create_upload"], &attempts["add_upload_part"]),
        (&0.into(), &(PARTS - known).into())
    );
    uploader.assert_whole(printed.id());
}
