//! The inventory of a tenant, from three listings.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::{
    id::{ObjectId, PartId, Stem},
    layout::{self, BlobName, FileMark, Owner, UploadMark},
    store::{Store, StoreError},
    tenant::Tenant,
};

/// The records of one upload that are there.
#[derive(Default)]
pub(super) struct UploadRecords {
    pub(super) has_beginning: bool,
    pub(super) has_end: bool,
    pub(super) parts: Vec<PartId>,
}

pub(super) struct Inventory {
    pub(super) blobs: BTreeMap<Owner, Vec<BlobName>>,
    stored: BTreeSet<ObjectId>,
    pub(super) deleted: HashSet<ObjectId>,
    pub(super) uploads: BTreeMap<ObjectId, UploadRecords>,
    /// The oldest file that was sent at once of which both the record and the bytes are there.
    oldest_file: Option<Stem>,
    /// The oldest file or upload that has a record.
    oldest: Option<ObjectId>,
}

impl Inventory {
    pub(super) async fn of(store: &Store, tenant: &Tenant) -> Result<Self, StoreError> {
        let mut inventory = Self {
            blobs: BTreeMap::new(),
            stored: BTreeSet::new(),
            deleted: HashSet::new(),
            uploads: BTreeMap::new(),
            oldest_file: None,
            oldest: None,
        };
        // Blobs first: a file that comes in between has no blob here to lose.
        for name in store.list(&layout::blobs(tenant), |name, _| BlobName::parse(name)).await? {
            inventory.blobs.entry(name.owner()).or_default().push(name);
        }
        for mark in store.list(&layout::files(tenant), |name, _| FileMark::parse(name)).await? {
            match mark {
                FileMark::Stored(id) => drop(inventory.stored.insert(id)),
                FileMark::Deleted(id) => drop(inventory.deleted.insert(id)),
            }
        }
        for (id, mark) in store.list(&layout::uploads(tenant), |_, path| UploadMark::parse(path)).await? {
            let records = inventory.uploads.entry(id).or_default();
            match mark {
                UploadMark::Created => records.has_beginning = true,
                UploadMark::Ended => records.has_end = true,
                UploadMark::Part(part) => records.parts.push(part),
            }
        }
        let files = || inventory.stored.iter().chain(&inventory.deleted);
        let has_bytes = |stem: &Stem| inventory.blobs.contains_key(&Owner::File(*stem));
        inventory.oldest_file = files().map(|id| id.stem()).filter(has_bytes).min();
        inventory.oldest = files().chain(inventory.uploads.keys()).min().copied();
        Ok(inventory)
    }

    /// Says whether something that is older than bytes of this owner has its records where those of the owner would stand. Else
    /// the disk with the records may not be mounted: its folder is empty then, or has nothing but what was made since.
    pub(super) fn has_older_records(&self, owner: Owner) -> bool {
        match owner {
            Owner::File(stem) => self.oldest_file.is_some_and(|oldest| oldest < stem),
            Owner::Upload(id) => self.oldest.is_some_and(|oldest| oldest <= id),
        }
    }

    /// Uploads with a record or with bytes.
    pub(super) fn upload_ids(&self) -> BTreeSet<ObjectId> {
        let with_bytes = self.blobs.keys().filter_map(|owner| match owner {
            Owner::Upload(id) => Some(*id),
            Owner::File(_) => None,
        });
        self.uploads.keys().copied().chain(with_bytes).collect()
    }

    /// The stems after which the bytes of files that were sent at once are named.
    pub(super) fn files_sent_at_once(&self) -> Vec<Stem> {
        let stem = |owner: &Owner| match owner {
            Owner::File(stem) => Some(*stem),
            Owner::Upload(_) => None,
        };
        self.blobs.keys().filter_map(stem).collect()
    }

    /// Files with a record, or with a tombstone alone.
    pub(super) fn file_ids(&self) -> BTreeSet<ObjectId> {
        self.stored.iter().chain(&self.deleted).copied().collect()
    }

    pub(super) fn is_stored(&self, id: ObjectId) -> bool {
        self.stored.contains(&id)
    }

    pub(super) fn is_file(&self, id: ObjectId) -> bool {
        self.is_stored(id) || self.deleted.contains(&id)
    }

    /// The file that these digits begin.
    pub(super) fn file_of(&self, stem: Stem) -> Option<ObjectId> {
        self.stored.range(stem.identifiers()).next().copied()
    }

    pub(super) fn has_blobs(&self, id: ObjectId) -> bool {
        self.blobs.contains_key(&Owner::File(id.stem())) || self.blobs.contains_key(&Owner::Upload(id))
    }

    /// Of bytes that belonged to nothing, those that still do now: records may have come back or come late, as when a backup
    /// is restored.
    pub(super) async fn still_without_owner(
        store: &Store,
        tenant: &Tenant,
        mut blobs: Vec<BlobName>,
    ) -> Result<Vec<BlobName>, StoreError> {
        if blobs.is_empty() {
            return Ok(blobs);
        }
        let (files, uploads) = (layout::files(tenant), layout::uploads(tenant));
        let files = store.list(&files, |name, _| match FileMark::parse(name)? {
            FileMark::Stored(id) | FileMark::Deleted(id) => Some(id),
        });
        let (files, mut owners) = (files.await?, HashSet::new());
        owners.extend(files.iter().map(|id| Owner::File(id.stem())));
        owners.extend(files.iter().map(|id| Owner::Upload(*id)));
        let uploads = store.list(&uploads, |_, path| match UploadMark::parse(path)? {
            (id, UploadMark::Created | UploadMark::Ended) => Some(Owner::Upload(id)),
            (_, UploadMark::Part(_)) => None,
        });
        owners.extend(uploads.await?);
        blobs.retain(|blob| !owners.contains(&blob.owner()));
        Ok(blobs)
    }
}
