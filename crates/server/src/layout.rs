//! Where everything stands in the store. Nothing else builds or takes apart an object's path.
//!
//! ```text
//! partwise.json                                  the store's format, and which store it is
//! probe/<number>/…                               what finds out at a start whether a store elsewhere can be relied on
//! reserve/room#<number>                          room held back on a local disk; never listed
//! tenants/<tenant>/files/<id>.json               a file
//! tenants/<tenant>/files/<id>.deleted.json       … is deleted
//! tenants/<tenant>/uploads/<id>/created.json     an upload
//! tenants/<tenant>/uploads/<id>/part-<part>.json … has this part
//! tenants/<tenant>/uploads/<id>/final.json       … is completed, cancelled or expired
//! tenants/<tenant>/blobs/<stem>                  the bytes of a file sent at once
//! tenants/<tenant>/blobs/<id>-<part>             the bytes of a part
//! ```
//!
//! A blob's name leads to the file or upload that it belongs to (the stem is the first 25 digits of the identifier),
//! so that bytes that belong to nothing are found by their names.

use std::fmt;

use object_store::path::Path;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
};

use crate::{
    id::{ObjectId, PartId, Stem},
    tenant::Tenant,
};

pub(crate) const MARKER: &str = "partwise.json";
pub(crate) const TENANTS: &str = "tenants";
pub(crate) const RESERVE: &str = "reserve";
/// The beginning of the names of its pieces.
pub(crate) const ROOM: &str = "room#";
/// The folder of what finds out whether a store can be relied on; empty but at a server's start.
pub(crate) const PROBES: &str = "probe";
/// The beginning of the names of files that are made, and removed at once, to see whether a folder can be written to.
pub(crate) const PROBE: &str = "partwise-probe-";
const JSON: &str = ".json";
const DELETED: &str = ".deleted.json";

pub(crate) fn marker() -> Path {
    Path::from(MARKER)
}

pub(crate) fn probes() -> Path {
    Path::from(PROBES)
}

pub(crate) fn probe(random: u128) -> Path {
    Path::from(format!("{PROBES}/{random:032x}"))
}

pub(crate) fn tenants() -> Path {
    Path::from(TENANTS)
}

/// The name of the tenant that an object belongs to.
pub(crate) fn tenant_of(path: &Path) -> Option<&str> {
    path.as_ref().strip_prefix(TENANTS)?.strip_prefix('/')?.split('/').next()
}

pub(crate) fn files(tenant: &Tenant) -> Path {
    Path::from(format!("{TENANTS}/{tenant}/files"))
}

pub(crate) fn file(tenant: &Tenant, id: ObjectId) -> Path {
    Path::from(format!("{TENANTS}/{tenant}/files/{id}{JSON}"))
}

pub(crate) fn file_deleted(tenant: &Tenant, id: ObjectId) -> Path {
    Path::from(format!("{TENANTS}/{tenant}/files/{id}{DELETED}"))
}

pub(crate) fn uploads(tenant: &Tenant) -> Path {
    Path::from(format!("{TENANTS}/{tenant}/uploads"))
}

pub(crate) fn upload(tenant: &Tenant, id: ObjectId) -> Path {
    Path::from(format!("{TENANTS}/{tenant}/uploads/{id}"))
}

pub(crate) fn upload_created(tenant: &Tenant, id: ObjectId) -> Path {
    Path::from(format!("{TENANTS}/{tenant}/uploads/{id}/created{JSON}"))
}

pub(crate) fn upload_final(tenant: &Tenant, id: ObjectId) -> Path {
    Path::from(format!("{TENANTS}/{tenant}/uploads/{id}/final{JSON}"))
}

pub(crate) fn part(tenant: &Tenant, upload: ObjectId, part: PartId) -> Path {
    Path::from(format!("{TENANTS}/{tenant}/uploads/{upload}/part-{part}{JSON}"))
}

pub(crate) fn blobs(tenant: &Tenant) -> Path {
    Path::from(format!("{TENANTS}/{tenant}/blobs"))
}

pub(crate) fn blob(tenant: &Tenant, name: BlobName) -> Path {
    Path::from(format!("{TENANTS}/{tenant}/blobs/{name}"))
}

/// The place of a folder of the store among the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// That of all tenants.
    Tenants,
    /// That of one.
    Tenant,
    /// Its uploads.
    Uploads,
    /// One with nothing but objects.
    Objects,
}

impl Level {
    /// The place of the folder with this name in it; `None` for what is not ours.
    pub(crate) fn below(self, name: &str) -> Option<Self> {
        match (self, name) {
            (Self::Tenants, name) => Tenant::new(name).ok().map(|_| Self::Tenant),
            (Self::Tenant, "uploads") => Some(Self::Uploads),
            (Self::Tenant, "files" | "blobs") => Some(Self::Objects),
            (Self::Uploads, name) => ObjectId::parse(name).map(|_| Self::Objects),
            (Self::Tenant | Self::Objects, _) => None,
        }
    }
}

/// The meaning of a record in a tenant's `files`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileMark {
    Stored(ObjectId),
    Deleted(ObjectId),
}

impl FileMark {
    /// Reads the last segment of a path in `files`; `None` for what is not ours.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        if let Some(digits) = name.strip_suffix(DELETED) {
            return ObjectId::parse(digits).map(Self::Deleted);
        }
        ObjectId::parse(name.strip_suffix(JSON)?).map(Self::Stored)
    }
}

/// A record in the folder of an upload, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UploadMark {
    Created,
    Part(PartId),
    Ended,
}

impl UploadMark {
    /// Reads a path below a tenant's `uploads`; `None` for what is not ours.
    pub(crate) fn parse(path: &Path) -> Option<(ObjectId, Self)> {
        let mut segments = path.as_ref().rsplit('/');
        let name = segments.next()?.strip_suffix(JSON)?;
        let id = ObjectId::parse(segments.next()?)?;
        let mark = match name {
            "created" => Self::Created,
            "final" => Self::Ended,
            part => Self::Part(PartId::parse_digits(part.strip_prefix("part-")?)?),
        };
        Some((id, mark))
    }
}

/// The name of a run of stored bytes that never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum BlobName {
    /// All bytes of a file that was sent at once.
    Whole(Stem),
    /// The bytes of a part of an upload.
    Part(ObjectId, PartId),
}

impl BlobName {
    /// Reads the last segment of a path in `blobs`; `None` for what is not ours.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name.split_once('-') {
            None => Stem::parse(name).map(Self::Whole),
            Some((upload, part)) => Some(Self::Part(ObjectId::parse(upload)?, PartId::parse_digits(part)?)),
        }
    }

    pub(crate) fn owner(self) -> Owner {
        match self {
            Self::Whole(stem) => Owner::File(stem),
            Self::Part(upload, _) => Owner::Upload(upload),
        }
    }
}

impl fmt::Display for BlobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(stem) => write!(f, "{stem}"),
            Self::Part(upload, part) => write!(f, "{upload}-{part}"),
        }
    }
}

impl Serialize for BlobName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BlobName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameReader)
    }
}

struct NameReader;

impl Visitor<'_> for NameReader {
    type Value = BlobName;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a blob")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<BlobName, E> {
        BlobName::parse(name).ok_or_else(|| E::invalid_value(de::Unexpected::Str(name), &self))
    }
}

/// The owner of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Owner {
    /// A file that was sent at once.
    File(Stem),
    /// An upload, and the file that it may have become.
    Upload(ObjectId),
}
