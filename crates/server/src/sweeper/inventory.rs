//! The inventory of a tenant, from three listings.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use object_store::ObjectMeta;
use partwise_models::UnixSeconds;

use crate::{
    id::{ObjectId, PartId, Stem},
    layout::{self, BlobName, FileMark, Owner, UploadMark},
    store::{Store, StoreError},
    tenant::Tenant,
};

pub(super) struct Blob {
    pub(super) name: BlobName,
    pub(super) written: UnixSeconds,
}

/// The records of one upload that are there.
#[derive(Default)]
pub(super) struct UploadRecords {
    pub(super) has_beginning: bool,
    pub(super) has_end: bool,
    pub(super) parts: Vec<PartId>,
}

pub(super) struct Inventory {
    pub(super) blobs: BTreeMap<Owner, Vec<Blob>>,
    stored: BTreeSet<ObjectId>,
    /// With the time at which the tombstone was written.
    pub(super) deleted: HashMap<ObjectId, UnixSeconds>,
    pub(super) uploads: BTreeMap<ObjectId, UploadRecords>,
}

impl Inventory {
    pub(super) async fn of(store: &Store, tenant: &Tenant) -> Result<Self, StoreError> {
        let mut inventory = Self {
            blobs: BTreeMap::new(),
            stored: BTreeSet::new(),
            deleted: HashMap::new(),
            uploads: BTreeMap::new(),
        };
        // Blobs first: a file that comes in between has no blob here to lose.
        let (blobs, files) = (layout::blobs(tenant), layout::files(tenant));
        let blobs = store.list(&blobs, |name, meta| {
            let name = BlobName::parse(name)?;
            Some((name.owner(), Blob { name, written: written(meta) }))
        });
        for (owner, blob) in blobs.await? {
            inventory.blobs.entry(owner).or_default().push(blob);
        }
        let marks = store.list(&files, |name, meta| Some((FileMark::parse(name)?, written(meta))));
        for (mark, written) in marks.await? {
            match mark {
                FileMark::Stored(id) => drop(inventory.stored.insert(id)),
                FileMark::Deleted(id) => drop(inventory.deleted.insert(id, written)),
            }
        }
        for (id, mark) in
            store.list(&layout::uploads(tenant), |_, meta| UploadMark::parse(&meta.location)).await?
        {
            let records = inventory.uploads.entry(id).or_default();
            match mark {
                UploadMark::Created => records.has_beginning = true,
                UploadMark::Ended => records.has_end = true,
                UploadMark::Part(part) => records.parts.push(part),
            }
        }
        Ok(inventory)
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
        self.stored.iter().chain(self.deleted.keys()).copied().collect()
    }

    pub(super) fn is_stored(&self, id: ObjectId) -> bool {
        self.stored.contains(&id)
    }

    pub(super) fn is_file(&self, id: ObjectId) -> bool {
        self.is_stored(id) || self.deleted.contains_key(&id)
    }

    /// The file that these digits begin.
    pub(super) fn file_of(&self, stem: Stem) -> Option<ObjectId> {
        self.stored.range(stem.identifiers()).next().copied()
    }

    pub(super) fn has_blobs(&self, id: ObjectId) -> bool {
        self.blobs.contains_key(&Owner::File(id.stem())) || self.blobs.contains_key(&Owner::Upload(id))
    }
}

fn written(meta: &ObjectMeta) -> UnixSeconds {
    UnixSeconds(meta.last_modified.timestamp().try_into().unwrap_or(0))
}
