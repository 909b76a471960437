//! What is resumed, and from what.

use std::time::Duration;

use partwise_models::UnixSeconds;

use super::harness::{
    Dice, Disk, ENTROPY, LONG, Run, Serves, Service, api, begun, checkpoint, halfway, plan, sent,
};
use crate::{
    Api,
    download::{Coverage, DownloadCheckpoint, DownloadMachine, DownloadPlan, DownloadTask},
    machine::{Action, Machine as _, Now},
    operations::DownloadFile,
};

#[test]
fn a_checkpoint_has_this_form() {
    let service = Service::new(1000, Serves::Ranges);
    let (mut machine, _) = begun(&service, 1, |machine| machine.progress().bytes_written >= 100);
    machine.written = Coverage::NOTHING;
    machine.written.insert(0..100);
    machine.written.insert(200..250);
    insta::assert_json_snapshot!(checkpoint(&mut machine), @r#"
    {
      "version": 1,
      "place": "https://api.openai.com/v1",
      "file_id": "file-1",
      "content": {
        "length": 1000,
        "etag": "\"a\"",
        "last_modified": null
      },
      "written": [
        [
          0,
          100
        ],
        [
          200,
          250
        ]
      ]
    }
    "#);
}

#[test]
fn what_a_checkpoint_does_not_fit_is_named() {
    let service = Service::new(1000, Serves::Ranges);
    let (mut machine, _) = begun(&service, 1, halfway);
    let saved = checkpoint(&mut machine);
    let resume = |api: &Api, file: &str, target| {
        DownloadMachine::resume(api, DownloadPlan::new(file), saved.clone(), target, ENTROPY)
            .unwrap_err()
            .to_string()
    };
    let azure = Api::azure_v1("https://example.openai.azure.com").unwrap();
    insta::assert_snapshot!(resume(&azure, "file-1", 1000), @"it is of a download from https://api.openai.com/v1, not from https://example.openai.azure.com/openai/v1");
    insta::assert_snapshot!(resume(&api(), "file-2", 1000), @"it is of file-1, not of file-2");
    insta::assert_snapshot!(resume(&api(), "file-1", 17), @"what had come was to have 1000 bytes, and has 17");
    let read = |text: &str| DownloadCheckpoint::from_json(text.as_bytes()).unwrap_err().to_string();
    insta::assert_snapshot!(read(r#"{"version": 2}"#), @"it has version 2, and this release reads version 1");
    insta::assert_snapshot!(read(r#"{"version": 1}"#), @"it cannot be read: missing field `place` at line 1 column 14");
}

#[test]
fn what_comes_whole_after_ranges_waits_until_no_checkpoint_speaks_of_them() {
    for serves in [Serves::Whole, Serves::WholeWithoutLength] {
        let mut service = Service::new(1000, Serves::Ranges);
        let (mut machine, _) = begun(&service, 1, halfway);
        let saved = checkpoint(&mut machine);
        service.serves = serves;
        let mut machine = DownloadMachine::resume(&api(), plan(1, 100), saved, 1000, ENTROPY).unwrap();
        let mut now = Now { monotonic: Duration::ZERO, unix: UnixSeconds(1) };
        let id = sent(&mut machine, &mut now, 1)[0];
        let (head, _) = service.answer(&DownloadFile::new("file-1"));
        assert_eq!(machine.handle_answer(id, head, now), None);
        let Action::Abandon(_) = machine.poll(now) else { panic!("it is not wanted yet") };
        let Action::Save(saved) = machine.poll(now) else { panic!("nothing is there") };
        assert_eq!(saved.written(), (0, 1000));
        let Action::Start { task: DownloadTask::Retrieve { .. }, .. } = machine.poll(now) else {
            panic!("it looks")
        };
        assert!(matches!(machine.poll(now), Action::Wait { until: None }));
        machine.handle_saved(Ok(()));
        let Action::Start { task: DownloadTask::Send { operation, .. }, .. } = machine.poll(now) else {
            panic!("it asks")
        };
        assert_eq!(operation.range, None, "{serves:?}");
    }
}

#[test]
fn a_checkpoint_of_nothing_holds_nobody_to_a_content() {
    let mut service = Service::new(1000, Serves::Ranges);
    let (mut machine, _) = begun(&service, 1, halfway);
    let mut saved = checkpoint(&mut machine);
    saved.written = Coverage::NOTHING;
    service.change();
    let mut machine = DownloadMachine::resume(&api(), plan(2, 100), saved, 1000, ENTROPY).unwrap();
    let mut run = Run::new(&service, Disk::default());
    run.until_end(&mut machine, &mut Dice([1].iter().cycle()), LONG).unwrap().unwrap();
    run.assert_complete();
}

#[test]
fn the_progress_says_what_can_be_resumed() {
    for serves in [Serves::Ranges, Serves::Whole] {
        let (machine, _) = begun(&Service::new(1000, serves), 1, halfway);
        let progress = machine.progress();
        let expected = if serves == Serves::Ranges { progress.bytes_written } else { 0 };
        assert!(progress.bytes_written > 0);
        assert_eq!(progress.bytes_resumable, expected, "{serves:?}");
    }
}
