//! Leftovers of crashes on a local disk, which the store does not list.

use std::{fs, io, path::Path, time::SystemTime};

use crate::{
    layout::{self, Level},
    local::is_folder,
    open::remove_probes,
};

#[derive(Default)]
pub(super) struct Removed {
    pub(super) removed: usize,
    /// Files and folders that could not be looked at.
    pub(super) skipped: usize,
}

/// Removes what processes that ended early have left in the store at `root` before that time: files of unfinished writes,
/// which are named `<object>#<number>`, files that tried whether the folder can be written to, and folders of uploads
/// without a record.
pub(super) fn remove(root: &Path, before: SystemTime) -> Removed {
    let mut removed = Removed::default();
    match remove_probes(root, before) {
        Ok(probes) => removed.removed += probes,
        Err(error) => removed.skip(root, &error),
    }
    removed.walk(&root.join(layout::TENANTS), Level::Tenants, before);
    removed.walk(&root.join(layout::RESERVE), Level::Objects, before);
    removed
}

impl Removed {
    fn walk(&mut self, folder: &Path, level: Level, before: SystemTime) {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return self.skip(folder, &error),
        };
        for entry in entries {
            let looked = entry.and_then(|entry| self.look_at(&entry, level, before));
            if let Err(error) = looked {
                self.skip(folder, &error);
            }
        }
    }

    fn look_at(&mut self, entry: &fs::DirEntry, level: Level, before: SystemTime) -> io::Result<()> {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        // A link to a folder is one; what cannot be followed leads to nothing of the store.
        if is_folder(entry).unwrap_or(false) {
            // Others may have folders here, too, and a link may lead anywhere.
            let Some(below) = level.below(&name) else { return Ok(()) };
            self.walk(&path, below, before);
            if level == Level::Uploads && entry.metadata()?.modified()? < before {
                // Only an empty one can be removed, and the next write to it makes it again.
                let _ = fs::remove_dir(&path);
            }
        } else if is_unfinished(&name) && entry.metadata()?.modified()? < before {
            fs::remove_file(&path)?;
            self.removed += 1;
        }
        Ok(())
    }

    /// Counts an entry that cannot be looked at. One that has just gone is fine: others write and sweep at the same time.
    fn skip(&mut self, path: &Path, error: &io::Error) {
        if error.kind() != io::ErrorKind::NotFound {
            let error: &dyn std::error::Error = error;
            tracing::error!(path = %path.display(), error, "the sweeper cannot look here");
            self.skipped += 1;
        }
    }
}

fn is_unfinished(name: &str) -> bool {
    // A piece of the reserve that is not whole is named `room#<number>#<number>`.
    let name = name.strip_prefix(layout::ROOM).unwrap_or(name);
    name.split_once('#')
        .is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}
