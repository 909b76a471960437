//! Disks that tests mount for themselves, in a namespace of their own, and what fills them.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

/// Where the test inside finds what was mounted.
const DISK: &str = "PARTWISE_TEST_DISK";

/// Runs the test with this path once more, in a namespace of its own in which `mount` was done. Where that may not be done, the
/// test says so, and fails in CI. Inside, gives back the folder.
pub(crate) fn disk(test: &str, mount: &str) -> Option<PathBuf> {
    if let Some(disk) = std::env::var_os(DISK) {
        return Some(disk.into());
    }
    let folder = tempfile::tempdir().unwrap();
    let run = |script: &str, arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["-Urm", "sh", "-c", script]).arg(std::env::current_exe().unwrap()).args(arguments);
        command.env(DISK, folder.path()).output()
    };
    if !run(mount, &[]).is_ok_and(|tried| tried.status.success()) {
        assert!(std::env::var_os("CI").is_none(), "no file system can be mounted here (unshare -Urm)");
        // The harness shows what a passing test prints to nobody; this goes past it.
        let _ = writeln!(std::io::stderr(), "NOT TESTED: no file system can be mounted here (unshare -Urm)");
        return None;
    }
    let ran = run(&format!("{mount} && exec \"$0\" \"$@\""), &["--exact", test, "--nocapture"]).unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success() && said.contains("1 passed"), "{said}");
    None
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Takes what room there is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Filler {
    Blocks,
    Inodes,
}

impl Filler {
    pub(crate) fn fill(self, disk: &Path) {
        match self {
            Self::Blocks => {
                let mut options = fs::OpenOptions::new();
                let mut file = options.append(true).create(true).open(disk.join("filler")).unwrap();
                let mut size = 1 << 20;
                while size > 0 {
                    if file.write_all(&vec![7; size]).is_err() {
                        size /= 2;
                    }
                }
            }
            Self::Inodes => {
                let folder = disk.join("fillers");
                let _ = fs::create_dir(&folder);
                let mut number = fs::read_dir(&folder).unwrap().count();
                while fs::write(folder.join(number.to_string()), "").is_ok() {
                    number += 1;
                }
            }
        }
    }
}

/// Threads that take all room, again and again.
pub(crate) struct Others {
    is_over: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Others {
    pub(crate) fn start(disk: &Path, filler: Filler) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let start = |_| {
            let (disk, is_over) = (disk.to_owned(), is_over.clone());
            std::thread::spawn(move || {
                while !is_over.load(SeqCst) {
                    filler.fill(&disk);
                }
            })
        };
        let threads = (0..2).map(start).collect();
        Self { is_over, threads }
    }

    pub(crate) fn stop(self) {
        self.is_over.store(true, SeqCst);
        self.threads.into_iter().for_each(|other| other.join().unwrap());
    }
}

pub(crate) const TMPFS: &str =
    "mount -t tmpfs -o size=4m,nr_inodes=1000 none \"$PARTWISE_TEST_DISK\" && cd \"$PARTWISE_TEST_DISK\"";

/// Runs a command inside the namespace.
pub(crate) fn shell(disk: &Path, script: &str) {
    let done = Command::new("sh").args(["-c", script]).current_dir(disk).status().unwrap();
    assert!(done.success(), "{script}");
}
