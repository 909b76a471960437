//! What the uploads of one client know of each other: who was answered with which file, and who may still be.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use partwise_models::{Purpose, UnixSeconds};

use super::SourceStamp;

/// As many files and uploads are kept although no upload that still runs began before them: a service's clock is known
/// to the second only, so an upload that begins may see what was made a moment before.
const KEPT: usize = 4096;

/// The uploads of one client, as far as they could be taken for each other.
///
/// A file that one upload was answered with is never taken for the file of another one, and neither is a file that
/// another one, which is waiting for its answer, may have made. It is a part of the [state](crate::retry::ServiceState)
/// that a client owns and gives to each of its machines. Cheap to clone; clones are the same registry. It
/// holds no content and no key. It remembers every upload that began while one that still runs did, and a few thousand
/// older ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct UploadRegistry(Arc<Mutex<Uploads>>);

#[derive(Debug, Default)]
struct Uploads {
    /// Orders everything that happens.
    next: u64,
    running: BTreeMap<u64, Running>,
    files: VecDeque<(u64, String)>,
    file_owners: HashMap<String, u64>,
    begun: VecDeque<Begun>,
    /// Uploads that ended without knowing whether the service made a file of them.
    unresolved: VecDeque<Unresolved>,
    /// What uploads can be resumed by.
    identities: VecDeque<(u64, Identity)>,
}

/// What an upload has in common with the run that resumes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// The identifier of an upload in parts.
    Upload(String),
    /// When the single request was first about to be sent, on our clock, and what its source looked like.
    Post(UnixSeconds, SourceStamp),
}

/// An upload that ended without knowing whether the service made a file of it.
#[derive(Debug)]
struct Unresolved {
    order: u64,
    owner: u64,
    likeness: Likeness,
}

/// An upload that runs.
#[derive(Debug)]
struct Running {
    likeness: Likeness,
    /// The request that makes the file is in flight.
    is_committing: bool,
    /// It was sent, so that the service may have made a file.
    may_have_made: bool,
    /// The file is known.
    has_file: bool,
}

impl Running {
    fn is_unresolved(&self) -> bool {
        self.may_have_made && !self.has_file
    }
}

/// An upload that was opened on the service.
#[derive(Debug)]
struct Begun {
    order: u64,
    owner: u64,
    likeness: Likeness,
    created_at: UnixSeconds,
}

/// The features by which the list shows a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Likeness {
    pub(super) filename: String,
    pub(super) bytes: u64,
    pub(super) purpose: Purpose,
}

/// One upload's entry; it ends with this.
#[derive(Debug)]
pub(super) struct Registration {
    registry: UploadRegistry,
    number: u64,
    likeness: Likeness,
}

/// Whether a file could be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taking {
    /// It is this upload's from now on.
    Taken,
    /// Another upload was answered with it.
    OfAnother,
    /// Another upload like this one waits for its answer.
    PerhapsOfAnother,
}

impl UploadRegistry {
    fn lock(&self) -> MutexGuard<'_, Uploads> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn register(&self, likeness: Likeness) -> Registration {
        let mut uploads = self.lock();
        let number = uploads.order();
        let running = Running {
            likeness: likeness.clone(),
            is_committing: false,
            may_have_made: false,
            has_file: false,
        };
        uploads.running.insert(number, running);
        Registration { registry: self.clone(), number, likeness }
    }
}

impl Uploads {
    fn order(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn own(&mut self, file_id: &str, owner: u64) {
        let order = self.order();
        if let Some(running) = self.running.get_mut(&owner) {
            running.has_file = true;
        }
        if self.file_owners.insert(file_id.to_owned(), owner).is_none() {
            self.files.push_back((order, file_id.to_owned()));
        }
        self.forget();
    }

    /// Forgets what no upload can be taken for any more.
    fn forget(&mut self) {
        let oldest = self.running.keys().next().copied().unwrap_or(self.next);
        while self.files.len() > KEPT && self.files.front().is_some_and(|(order, _)| *order < oldest) {
            if let Some((_, file)) = self.files.pop_front() {
                self.file_owners.remove(&file);
            }
        }
        let is_old = |order: u64, count: usize| count > KEPT && order < oldest;
        while self.unresolved.front().is_some_and(|first| is_old(first.order, self.unresolved.len())) {
            self.unresolved.pop_front();
        }
        while self.begun.front().is_some_and(|first| is_old(first.order, self.begun.len())) {
            self.begun.pop_front();
        }
        while self.identities.front().is_some_and(|(owner, _)| is_old(*owner, self.identities.len())) {
            self.identities.pop_front();
        }
    }

    /// The upload that a run resumes: the only one with this identity, unless it still runs.
    fn earlier_run(&self, identity: &Identity) -> Option<u64> {
        let mut owners =
            self.identities.iter().filter(|(_, other)| other == identity).map(|(owner, _)| *owner);
        let owner = owners.next()?;
        let is_clear = owners.all(|other| other == owner) && !self.running.contains_key(&owner);
        is_clear.then_some(owner)
    }
}

impl Registration {
    /// The same upload in another registry.
    pub(super) fn move_to(&mut self, registry: &UploadRegistry) {
        *self = registry.register(self.likeness.clone());
    }

    /// Notes what a later run can resume this upload by.
    pub(super) fn identify(&self, identity: Identity) {
        self.registry.lock().identities.push_back((self.number, identity));
    }

    /// Takes the place of the run of this client that is resumed, if there was one: what it was answered with, and what it
    /// may have made, is this upload's.
    pub(super) fn resume(&mut self, identity: Identity) {
        let mut uploads = self.registry.lock();
        match uploads.earlier_run(&identity) {
            Some(earlier) => {
                if let Some(running) = uploads.running.remove(&self.number) {
                    uploads.running.insert(earlier, running);
                }
                uploads.unresolved.retain(|unresolved| unresolved.owner != earlier);
                drop(uploads);
                self.number = earlier;
            }
            None => uploads.identities.push_back((self.number, identity)),
        }
    }

    /// The request that makes the file leaves.
    pub(super) fn commits(&self) {
        self.change(|running| (running.is_committing, running.may_have_made) = (true, true));
    }

    /// The request that makes the file is not under way; whether it may have made one anyway.
    pub(super) fn settle(&self, may_have_made: bool) {
        self.change(|running| (running.is_committing, running.may_have_made) = (false, may_have_made));
    }

    fn change(&self, change: impl FnOnce(&mut Running)) {
        if let Some(running) = self.registry.lock().running.get_mut(&self.number) {
            change(running);
        }
    }

    /// An upload was opened on the service, at this moment of its clock.
    pub(super) fn begun(&self, created_at: UnixSeconds) {
        let mut uploads = self.registry.lock();
        let (order, likeness) = (uploads.order(), self.likeness.clone());
        uploads.begun.push_back(Begun { order, owner: self.number, likeness, created_at });
        uploads.forget();
    }

    /// The service answered this upload with a file.
    pub(super) fn answered_with(&self, file_id: &str) {
        self.registry.lock().own(file_id, self.number);
    }

    /// Whether another upload was answered with this file.
    pub(super) fn is_taken(&self, file_id: &str) -> bool {
        self.registry.lock().file_owners.get(file_id).is_some_and(|owner| *owner != self.number)
    }

    /// Takes a file of the list for this upload's.
    pub(super) fn take(&self, file_id: &str) -> Taking {
        let mut uploads = self.registry.lock();
        match uploads.file_owners.get(file_id) {
            Some(owner) if *owner == self.number => return Taking::Taken,
            Some(_) => return Taking::OfAnother,
            None => {}
        }
        let is_waited_for = uploads.running.iter().any(|(number, running)| {
            *number != self.number && running.is_committing && running.likeness == self.likeness
        });
        if is_waited_for {
            return Taking::PerhapsOfAnother;
        }
        uploads.own(file_id, self.number);
        Taking::Taken
    }

    /// Whether a file with this time can be of no other upload of this client: none of this name and size was opened in
    /// that second, as the services that give a file its upload's time would show it, and none is unresolved, as those
    /// that give it the time of its completion may show it.
    pub(super) fn is_only_one_at(&self, created_at: UnixSeconds) -> bool {
        let uploads = self.registry.lock();
        let is_alike = |other: &Likeness| {
            (&other.filename, other.bytes) == (&self.likeness.filename, self.likeness.bytes)
        };
        let mut begun = uploads.begun.iter().filter(|begun| begun.owner != self.number);
        let mut running = uploads.running.iter().filter(|(number, _)| **number != self.number);
        !begun.any(|begun| begun.created_at == created_at && is_alike(&begun.likeness))
            && !running.any(|(_, running)| running.is_unresolved() && is_alike(&running.likeness))
            && !uploads.unresolved.iter().any(|unresolved| is_alike(&unresolved.likeness))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut uploads = self.registry.lock();
        if let Some(running) = uploads.running.remove(&self.number).filter(Running::is_unresolved) {
            let (order, likeness) = (uploads.order(), running.likeness);
            uploads.unresolved.push_back(Unresolved { order, owner: self.number, likeness });
        }
        uploads.forget();
    }
}
