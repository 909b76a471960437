//! The small disk that the store is on, and what fills it.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getgid, getuid};

/// So many files and folders fit for each MiB.
const INODES_PER_MIB: u64 = 160;

/// The disk, or the folder, that the store is on.
#[derive(Debug)]
pub(crate) struct Disk {
    folder: PathBuf,
    /// The reason why there is no separate disk.
    shared: Option<String>,
    /// Odd while it is full.
    phase: AtomicU64,
}

/// The resource that a full disk has run out of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scarce {
    Bytes,
    Inodes,
}

impl Disk {
    /// Mounts a disk of `mib` MiB at `folder` that only this process and its children see. Where that is not allowed, the
    /// folder itself takes its place and is never filled. No other thread may be running.
    pub(crate) fn mount(folder: &Path, mib: u64) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let folder = folder.canonicalize()?;
        let shared = own_disk(&folder, mib).err().map(|error| format!("{error:#}"));
        Ok(Self { folder, shared, phase: AtomicU64::new(0) })
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    /// The reason why the disk is not filled, if it is not.
    pub(crate) fn why_shared(&self) -> Option<&str> {
        self.shared.as_deref()
    }

    /// Changes whenever the disk gets full or empty again, and is odd in between.
    pub(crate) fn phase(&self) -> u64 {
        self.phase.load(SeqCst)
    }

    /// Returns true if the disk was full at any time since `before`, which is an earlier phase.
    pub(crate) fn was_full_since(&self, before: u64) -> bool {
        before % 2 == 1 || self.phase() != before
    }

    /// Takes the rest of the disk. Ends when there is none, until [`empty`](Self::empty); can be called again to take what became free.
    pub(crate) fn fill(&self, scarce: Scarce) -> io::Result<()> {
        if self.phase() % 2 == 0 {
            self.phase.fetch_add(1, SeqCst);
        }
        let filler = self.folder.join("filler");
        fs::create_dir_all(&filler).or_else(until_full)?;
        let filled = match scarce {
            Scarce::Bytes => fill_bytes(&filler),
            Scarce::Inodes => fill_inodes(&filler),
        };
        filled.or_else(until_full)
    }

    /// Gives the room back.
    pub(crate) fn empty(&self) -> io::Result<()> {
        let removed = match fs::remove_dir_all(self.folder.join("filler")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        };
        if self.phase() % 2 == 1 {
            self.phase.fetch_add(1, SeqCst);
        }
        removed
    }

    /// Files of unfinished writes of all tenants, with the time at which they were last written to.
    pub(crate) fn unfinished(&self) -> io::Result<Vec<(PathBuf, SystemTime)>> {
        let mut found = Vec::new();
        let mut folders = vec![self.store().join("tenants")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if entry.file_type()?.is_dir() {
                    folders.push(entry.path());
                } else if name.contains('#') {
                    found.push((entry.path(), entry.metadata()?.modified()?));
                }
            }
        }
        Ok(found)
    }
}

fn own_disk(folder: &Path, mib: u64) -> Result<()> {
    let (user, group) = (getuid(), getgid());
    if unshare(CloneFlags::CLONE_NEWNS).is_err() {
        let kinds = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS;
        unshare(kinds).context("no namespace for mounts may be made here")?;
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
        fs::write("/proc/self/gid_map", format!("0 {group} 1"))?;
    }
    let nothing = None::<&str>;
    mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing)
        .context("mounts are shared")?;
    let options = format!("size={mib}m,nr_inodes={}", mib * INODES_PER_MIB);
    mount(Some("soak"), folder, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))
        .context("nothing may be mounted here")
}

fn fill_bytes(filler: &Path) -> io::Result<()> {
    let mut file = File::options().append(true).create(true).open(filler.join("bytes"))?;
    let piece = vec![0; 1 << 20];
    // The rest in small steps: the kernel may refuse a large one although there is room for a part of it.
    for size in [piece.len(), 4096, 1] {
        while file.write_all(&piece[..size]).is_ok() {}
    }
    Ok(())
}

fn fill_inodes(filler: &Path) -> io::Result<()> {
    let taken = fs::read_dir(filler)?.count();
    for number in taken.. {
        File::create(filler.join(number.to_string()))?;
    }
    Ok(())
}

fn until_full(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::StorageFull { Ok(()) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(folder: &Path) -> Disk {
        Disk { folder: folder.to_owned(), shared: Some("a test".into()), phase: AtomicU64::new(0) }
    }

    #[test]
    fn a_request_overlaps_a_full_disk_when_either_end_or_anything_between_does() {
        let disk = plain(Path::new("nowhere"));
        let at = |phase| disk.phase.store(phase, SeqCst);
        at(2);
        assert!(!disk.was_full_since(2));
        assert!(disk.was_full_since(1));
        at(3);
        assert!(disk.was_full_since(2) && disk.was_full_since(3));
        at(4);
        assert!(disk.was_full_since(2));
    }

    #[test]
    fn unfinished_writes_are_found_in_every_folder_of_a_tenant() {
        let folder = tempfile::tempdir().unwrap();
        let disk = plain(folder.path());
        let files = disk.store().join("tenants/one/files");
        fs::create_dir_all(&files).unwrap();
        for name in ["a.json", "b.json#1"] {
            fs::write(files.join(name), "").unwrap();
        }
        let found: Vec<_> = disk.unfinished().unwrap().into_iter().map(|(path, _)| path).collect();
        assert_eq!(found, [files.join("b.json#1")]);
    }
}
