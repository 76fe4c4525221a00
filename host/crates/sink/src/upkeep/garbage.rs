//! The garbage list: files that the table has stopped naming, since when, and what it named when it was last looked
//! at.
//!
//! The head is written with each pass. What a pass found is a segment of its own, which is written once and is
//! forgotten when all of its files are removed: so a pass costs what it found, and not what is waiting.

use iceberg::table::Table;
use serde::{Deserialize, Serialize};

use crate::catalog::Store;
use crate::error::Error;
use crate::table::outbox::Pointer;
use crate::upkeep::object::{self, GARBAGE_FOLDER, GARBAGE_PROPERTY, Stored};

const FORMAT: u32 = 1;

/// What a file was to the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GarbageKind {
    /// An earlier version of the metadata.
    Metadata,
    /// The manifest list of a snapshot that is gone.
    ManifestList,
    Manifest,
    /// A state, an outbox, a history or a garbage list of ours.
    Object,
    /// A data file that another program took out of the table.
    Data,
}

impl GarbageKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::ManifestList => "manifest-list",
            Self::Manifest => "manifest",
            Self::Object => "object",
            Self::Data => "data",
        }
    }
}

/// A file that may be removed once it is due.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct Garbage {
    pub(super) location: String,
    pub(super) kind: GarbageKind,
}

/// The list itself, as the table's property points at it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) format: u32,
    /// The table's UUID: no two tables share an object.
    pub(super) table: String,
    pub(super) at: i64,
    /// The metadata that this pass looked at.
    pub(super) base: String,
    /// The newest snapshot that this pass looked at.
    pub(super) sequence: i64,
    /// What was named then: metadata files, snapshots, and objects of ours.
    pub(super) metadata: Vec<String>,
    pub(super) snapshots: Vec<KnownSnapshot>,
    pub(super) objects: Vec<String>,
    pub(super) segments: Vec<SegmentRef>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KnownSnapshot {
    pub(super) id: i64,
    pub(super) list: String,
    /// Whether its manifests are all in the list of a later snapshot.
    pub(super) covered: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SegmentRef {
    pub(super) location: String,
    pub(super) sha256: String,
    /// Since when its files are unnamed, in milliseconds since 1970.
    pub(super) since: i64,
    /// Data files wait longer.
    pub(super) is_data: bool,
    pub(super) files: usize,
}

/// Files that were found unnamed by the same pass.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Segment {
    format: u32,
    table: String,
    since: i64,
    /// Makes each segment another object.
    part: usize,
    pub(super) files: Vec<Garbage>,
}

/// Files of one segment: bounds one step of the removal.
pub(super) const SEGMENT_FILES_MAX: usize = 1_000;

impl SegmentRef {
    pub(super) fn pointer(&self) -> Pointer {
        let (location, sha256) = (self.location.clone(), self.sha256.clone());
        object::of_table(location, sha256)
    }
}

impl Head {
    /// The list that the table names. One that is lost or damaged costs files that nobody removes, and nothing else:
    /// a new one begins.
    pub(super) async fn read(store: &Store, table: &Table) -> Result<Self, Error> {
        let Some(pointer) = object::pointer_in(table, GARBAGE_PROPERTY)? else {
            return Ok(Self::default());
        };
        let problem = match object::get::<Self>(store, &pointer).await? {
            Stored::Found(head) if head.format == FORMAT => return Ok(head),
            Stored::Found(head) => format!("its format {} is not supported", head.format),
            Stored::Damaged(problem) => problem,
        };
        let (table, location) = (table.identifier(), &pointer.location);
        tracing::warn!(%table, location, problem, "the garbage list is lost; a new one begins");
        Ok(Self::default())
    }

    /// Whether the table had a list.
    pub(super) fn is_new(&self) -> bool {
        self.format == 0
    }

    pub(super) async fn write(
        &mut self,
        store: &Store,
        table: &Table,
        now_ms: i64,
    ) -> Result<Pointer, Error> {
        self.format = FORMAT;
        self.table = table.metadata().uuid().to_string();
        self.at = now_ms;
        object::put(store, GARBAGE_FOLDER, &*self).await
    }
}

/// Writes what a pass found, in segments of a bounded size.
pub(super) async fn write_segments(
    store: &Store,
    table: &Table,
    files: Vec<Garbage>,
    now_ms: i64,
) -> Result<Vec<SegmentRef>, Error> {
    let (data, small): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|file| file.kind == GarbageKind::Data);
    let mut written = Vec::new();
    for (files, is_data) in [(small, false), (data, true)] {
        for files in files.chunks(SEGMENT_FILES_MAX) {
            let segment = Segment {
                format: FORMAT,
                table: table.metadata().uuid().to_string(),
                since: now_ms,
                part: written.len(),
                files: files.to_vec(),
            };
            written.push(write_segment(store, &segment, is_data).await?);
        }
    }
    Ok(written)
}

/// Writes what is left of a segment, since when its files are unnamed unchanged.
pub(super) async fn write_rest(
    store: &Store,
    segment: &Segment,
    is_data: bool,
    files: Vec<Garbage>,
) -> Result<SegmentRef, Error> {
    let rest = Segment { files, ..segment.clone() };
    write_segment(store, &rest, is_data).await
}

async fn write_segment(
    store: &Store,
    segment: &Segment,
    is_data: bool,
) -> Result<SegmentRef, Error> {
    let Pointer { location, sha256, .. } = object::put(store, GARBAGE_FOLDER, segment).await?;
    let (since, files) = (segment.since, segment.files.len());
    Ok(SegmentRef { location, sha256, since, is_data, files })
}

/// The commits since the last pass.
pub(super) fn since_pass(table: &Table, head: &Head) -> usize {
    if head.is_new() {
        table.metadata().metadata_log().len()
    } else {
        commits_since(table, &head.base)
    }
}

/// The commits that were made on top of this metadata, the one of the pass itself not counted.
pub(super) fn commits_since(table: &Table, base: &str) -> usize {
    if table.metadata_location() == Some(base) {
        return 0;
    }
    let log = table.metadata().metadata_log();
    let place = log.iter().rposition(|entry| entry.metadata_file == base);
    // Not in the log: longer ago than it reaches.
    place.map_or(usize::MAX, |place| log.len() - place - 1)
}
