//! What can go wrong with the table.

use std::path::PathBuf;

use audit_core::{Kind, TopicPartition};

use crate::catalog::pointer::{PointerError, is_passing};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The table name is not valid.
    ///
    /// Cause: the name is not NAMESPACE.TABLE, or has other characters than letters, digits, `_` and `-`.
    ///
    /// Remedy: correct `--table` (key `table.name`); the namespace may have several levels.
    #[error("the table name {name:?}: must be NAMESPACE.TABLE, of letters, digits, _ and -")]
    BadName { name: String },
    /// The catalog is of a kind that is not supported.
    ///
    /// Cause: the catalog's URI does not begin with `sqlite:`, or names no file.
    ///
    /// Remedy: correct `--catalog` (key `table.catalog`); SQLite is the only catalog today.
    #[error(
        "the catalog {uri:?}: must be sqlite:PATH, for example sqlite:///var/lib/audit-host/catalog.db"
    )]
    BadCatalog { uri: String },
    /// The warehouse is not a local folder.
    ///
    /// Cause: the warehouse is S3 or another remote store, is empty, or has a path that is not UTF-8.
    ///
    /// Remedy: correct `--warehouse` (key `table.warehouse`); a local folder is the only warehouse today.
    #[error("the warehouse {warehouse:?}: {problem}")]
    BadWarehouse { warehouse: String, problem: &'static str },
    /// The catalog cannot be opened.
    ///
    /// Cause: the database file cannot be opened or created, or is not a database.
    ///
    /// Remedy: check the path, and owner and mode of the file and its folder.
    #[error("opening the catalog {uri}")]
    OpenCatalog {
        uri: String,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The warehouse is not writable.
    ///
    /// Cause: the host may not write to the folder, or a file has its name.
    ///
    /// Remedy: make the folder writable for the user that runs the host, or name another one.
    #[error("writing to the warehouse {warehouse}: make the folder writable, or name another one")]
    Warehouse {
        warehouse: String,
        #[source]
        cause: std::io::Error,
    },
    /// The warehouse does not exist.
    ///
    /// Cause: there is no such folder. Commands that only read create none.
    ///
    /// Remedy: correct `--warehouse` (key `table.warehouse`).
    #[error("finding the warehouse {warehouse}: check --warehouse")]
    NoWarehouse {
        warehouse: String,
        #[source]
        cause: std::io::Error,
    },
    /// The table does not exist.
    ///
    /// Cause: the catalog has no such table: another table name, another catalog, or another
    /// `table.catalog-name`.
    ///
    /// Remedy: correct `--table`, `--catalog` or `table.catalog-name`.
    #[error("the table {table} is not in the catalog: check --table and --catalog")]
    NoTable { table: String },
    /// The catalog failed.
    ///
    /// Cause: the catalog or the files of the table cannot be read or written; the message says what was
    /// attempted.
    ///
    /// Remedy: repair what the message names, then start again.
    #[error("{attempted} table {table}")]
    Table {
        attempted: &'static str,
        table: String,
        #[source]
        cause: iceberg::Error,
    },
    /// The table has another schema or partitioning.
    ///
    /// Cause: a table of this name exists, and was not created by audit-host or was changed since. Nothing of
    /// it was changed.
    ///
    /// Remedy: undo that change, or name another `--table`, which is then created.
    #[error(
        "the table {table} is not compatible: {problem}; to create a new one, name another --table"
    )]
    OtherSchema { table: String, problem: String },
    /// A key's secret changed, but not its id.
    ///
    /// Cause: the key file holds another secret than the one whose tokens and ciphertexts are in the table
    /// under this id.
    ///
    /// Remedy: restore the old secret; or give the new one its own `id`, and list the old one under
    /// `previous`.
    #[error(
        "keys.{name}: the table holds values made with another secret of the id {id}: restore that \
         secret, or give the new one its own id and list the old one under `previous`"
    )]
    OtherSecret { name: String, id: String },
    /// Another instance of the group writes to the table.
    ///
    /// Cause: another process has taken the group's lane over since this one committed last: it was started with the
    /// same `--group` and table, or this one was paused for longer than `run.lane-lease`. Nothing of the open epoch
    /// was committed.
    ///
    /// Remedy: stop one of them, or give each its own `--group`. A restart waits until the other one is silent; so that it
    /// knows them apart, each living instance needs a name of its own (`--instance`).
    #[error(
        "group {group} of {table}: another instance has taken over: the table names {theirs}, and not {ours}; \
         stop one of them, or give each its own --group{hint}"
    )]
    Fenced { group: String, table: String, ours: String, theirs: String, hint: &'static str },
    /// An offset in the table was changed by somebody else.
    ///
    /// Cause: a table property of the group was edited while the host was running.
    ///
    /// Remedy: start again: the host reads on at the offset that the table holds now.
    #[error(
        "{partition}: this epoch starts at offset {ours}, but the table expects {theirs}: the offset was changed \
         by another program; start again to read on from there"
    )]
    OffsetChanged { partition: TopicPartition, ours: i64, theirs: String },
    /// The group reads other topics.
    ///
    /// Cause: a host with other topics writes to this table under the same group. They would share state and chain.
    ///
    /// Remedy: give this host its own `--group`.
    #[error(
        "group {group} of {table} reads {theirs}, and not {ours}: give each set of topics its own --group"
    )]
    OtherTopics { group: String, table: String, ours: String, theirs: String },
    /// The table was written by a newer version.
    ///
    /// Cause: a newer audit-host has taken the table over. This one would not understand what it wrote there.
    ///
    /// Remedy: run that version, or a newer one.
    #[error(
        "the table {table} has format {found}, but this version writes format {ours}: run the version that wrote \
         it last, or a newer one"
    )]
    NewerTable { table: String, found: u32, ours: u32 },
    /// The table was replaced.
    ///
    /// Cause: while the host was running it was dropped, and another one was created or registered under its name.
    ///
    /// Remedy: start again to write to the new one, from where it says.
    #[error(
        "the table {table} was replaced by another one of this name (it had the uuid {uuid}): start again to write \
         to the new one"
    )]
    OtherTable { table: String, uuid: String },
    /// The table's newest rows are gone.
    ///
    /// Cause: the table was rolled back to an older snapshot. Reading on would lose the rows in between.
    ///
    /// Remedy: set the table to its newest snapshot again ([how](operations/backup-and-upgrade.md#after-a-rollback)). To
    /// read the records again instead, use a new `--table` and a new `--group`: in this table rows would be there twice. If
    /// another program deleted the row on purpose and expired the commit's snapshot, remove the property
    /// `audit-host.<group>..witness`.
    #[error(
        "the table {table} lacks the row of {partition} offset {offset}, which group {group} has committed: the table \
         was rolled back, and reading on would lose every row since; set it to its newest snapshot again \
         (set_current_snapshot to the last one of `audit-host table snapshots`), or read the records again into a new \
         --table with a new --group"
    )]
    RowsGone { table: String, group: String, partition: TopicPartition, offset: i64 },
    /// The table of dead letters was rolled back.
    ///
    /// Cause: it was set to an older snapshot. The dead letters that were appended since would be lost.
    ///
    /// Remedy: set the table to its newest snapshot again ([how](operations/backup-and-upgrade.md#after-a-rollback)).
    #[error(
        "the table {table} was rolled back to the snapshot {snapshot}, and lacks dead letters that were appended since: \
         set it to its newest snapshot again (set_current_snapshot)"
    )]
    SetBack { table: String, snapshot: String },
    /// The audit table is older than its dead letters.
    ///
    /// Cause: the catalog names an old copy of the audit table's metadata, or the audit table was dropped and made anew.
    /// Reading on would append the same dead letters again.
    ///
    /// Remedy: `audit-host table register --latest` takes the newest metadata. If the audit table begins anew on purpose,
    /// give it another `--table`, or drop the old table of dead letters too.
    #[error(
        "the table {letters} has the dead letters of commit {done} of group {group}, but {table} ends at commit {ours}: \
         it is an old copy (run `audit-host table register --latest`), or was made anew (give it another --table)"
    )]
    LettersAhead { table: String, letters: String, group: String, done: u64, ours: u64 },
    /// The table of dead letters is older than the audit table.
    ///
    /// Cause: the catalog names an old copy of the dead letters' metadata, or their table was dropped.
    ///
    /// Remedy: restore the table of dead letters; `audit-host table register --latest` takes the newest metadata of its
    /// folder. If they were removed on purpose, remove the property `audit-host.<group>..letters.all` of the audit table.
    #[error(
        "the table {letters} ends with the dead letters of commit {done} of group {group}, but {table} counts those of \
         commit {ours}: restore it, or run `audit-host table register --latest`"
    )]
    LettersBehind { table: String, letters: String, group: String, done: u64, ours: u64 },
    /// The catalog is older than the table's files.
    ///
    /// Cause: a backup of the catalog was restored. It does not know the rows that were committed since.
    ///
    /// Remedy: `audit-host table register --latest` takes the newest metadata of the folder into the catalog.
    #[error(
        "the catalog names {known} for the table {table}, but the folder holds {newest}, which is newer: the catalog \
         is an old copy; run `audit-host table register --latest` to take the newest metadata into it"
    )]
    OldCatalog { table: String, known: String, newest: String },
    /// The table's files exist, but the catalog does not know the table.
    ///
    /// Cause: the catalog was deleted, is another one, or has another `table.catalog-name`.
    ///
    /// Remedy: correct `--catalog` or `table.catalog-name`; or `audit-host table register --latest` takes the table into
    /// this catalog.
    #[error(
        "the catalog does not know the table {table}, but its folder {folder} holds {newest}: correct --catalog or \
         table.catalog-name, or run `audit-host table register --latest` to take it into this catalog"
    )]
    Unregistered { table: String, folder: String, newest: String },
    /// The metadata of the table cannot be read.
    ///
    /// Cause: the catalog names a metadata file that is missing or damaged: the catalog is old, or the file was removed.
    ///
    /// Remedy: restore the file, or run `audit-host table register --latest`.
    #[error(
        "reading the metadata {location} of the table {table}: {problem}; restore it, or run \
         `audit-host table register --latest`"
    )]
    MetadataFile { table: String, location: String, problem: String },
    /// The catalog cannot be read.
    ///
    /// Cause: its database is locked by another program, or cannot be read.
    ///
    /// Remedy: end what locks it, or repair it, and start again.
    #[error("asking the catalog for the table {table}")]
    Pointer {
        table: String,
        #[source]
        cause: PointerError,
    },
    /// The catalog's file is another one.
    ///
    /// Cause: the file was deleted or replaced while the host was running. Nothing more is committed: it would be lost.
    ///
    /// Remedy: put the file back, or correct `--catalog`; `audit-host table register --latest` fills a new catalog.
    #[error(
        "the catalog of the table {table}: put the file back, or take the table into a new catalog \
         (audit-host table register --latest), and start again"
    )]
    OtherCatalogFile {
        table: String,
        #[source]
        cause: PointerError,
    },
    /// The clock is behind the table.
    ///
    /// Cause: a host whose clock was ahead has committed, or this host's clock is behind. The table accepts no commit
    /// that is more than a minute older than the newest one.
    ///
    /// Remedy: correct the clocks (NTP), or wait until that time has come.
    #[error(
        "the table {table} was changed at {committed_at}, but it is {clock} by this host's clock: correct the clock, \
         or start again when that time has come"
    )]
    ClockBehind { table: String, committed_at: String, clock: String },
    /// A commit was not accepted.
    ///
    /// Cause: the catalog failed, and has not changed.
    ///
    /// Remedy: repair the catalog and start again: the next start repeats the epoch.
    #[error("committing to {table}: the catalog has not changed: {cause}")]
    NotCommitted { table: String, cause: String },
    /// Whether a commit was accepted is unknown.
    ///
    /// Cause: the catalog failed during the commit, and cannot be read since.
    ///
    /// Remedy: repair the catalog and start again: the start finds out, and repeats the epoch only if it is not there.
    #[error(
        "committing to {table}: {cause}; whether the commit is in the table is unknown, since the catalog cannot be \
         read; the next start finds out"
    )]
    UnknownOutcome { table: String, cause: String },
    /// Other programs committed too often.
    ///
    /// Cause: another program changes the table in a loop.
    ///
    /// Remedy: stop it, then start again.
    #[error("committing to {table}: another program committed first ({conflicts} in a row)")]
    Contended { table: String, conflicts: u32 },
    /// A commit failed too often.
    ///
    /// Cause: the catalog fails, or stays locked.
    ///
    /// Remedy: repair the catalog and start again: the next start repeats the epoch.
    #[error(
        "committing to {table}: gave up after {attempts} attempts; nothing of it is in the table, and the next start \
         repeats it: {cause}"
    )]
    GaveUp { table: String, attempts: u32, cause: String },
    /// Files of the warehouse cannot be written or read.
    ///
    /// Cause: the disk is full, or the warehouse's folder is gone.
    ///
    /// Remedy: make room, or restore the folder, and start again.
    #[error("reading or writing files of the warehouse")]
    Files(#[source] iceberg::Error),
    /// Rows cannot be arranged for the table.
    ///
    /// Cause: the columns of a batch are not those of the table.
    ///
    /// Remedy: restart, so that the table gets the columns that plugins add; if it happens again, report it.
    #[error("arranging rows by partition")]
    Arrow(#[from] arrow::error::ArrowError),
    /// A batch lacks a column that partitions the table.
    ///
    /// Cause: a fault of audit-host.
    ///
    /// Remedy: report it with the log.
    #[error("a batch's column {column}: is absent or of another type")]
    BatchColumn { column: &'static str },
    /// A plugin's component cannot be stored or read.
    ///
    /// Cause: `WAREHOUSE/.audit-host/plugins` cannot be written or read.
    ///
    /// Remedy: make room, and correct owner and mode of the folder.
    #[error("{attempted} the component {location}")]
    Component {
        attempted: &'static str,
        location: String,
        #[source]
        cause: iceberg::Error,
    },
    /// A plugin's component is not stored.
    ///
    /// Cause: no host has run it with this warehouse, or its file was removed.
    ///
    /// Remedy: take the component from where it was built.
    #[error("the component {location} does not exist: no host has run it with this warehouse")]
    NoComponent { location: String },
    /// The key file cannot be read.
    ///
    /// Cause: the file of `dead-letters.key-file` does not exist, or may not be read. Without one the warehouse keeps a
    /// key for the digests of dead letters in `.audit-host/keys`: that may not be read or made, or it was damaged.
    ///
    /// Remedy: correct the path, or owner and mode. A key of the warehouse that was damaged: restore it, or remove it;
    /// then digests of older dead letters cannot be compared with those of newer ones.
    #[error("reading the key file {path}", path = .path.display())]
    ReadKeyFile {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    /// The key file holds no key.
    ///
    /// Cause: the file of `dead-letters.key-file` holds neither 64 hex digits nor 32 bytes.
    ///
    /// Remedy: make a key: `openssl rand -hex 32`.
    #[error(
        "the key file {path} must hold 64 hex digits (openssl rand -hex 32) or 32 bytes",
        path = .path.display()
    )]
    BadKeyFile { path: PathBuf },
    /// The detectors' state is sealed, and no key is configured.
    ///
    /// Cause: the table was filled by a run with `dead-letters.key-file`, and this run has none.
    ///
    /// Remedy: name the key that sealed the state, or start with another `--group`.
    #[error(
        "the table holds sealed detector state: name the key that sealed it ([dead-letters] key-file), \
         or start with another --group"
    )]
    NoKey,
    /// Sealed data cannot be unsealed.
    ///
    /// Cause: it was sealed with another key than the one of `dead-letters.key-file`, or it is damaged.
    ///
    /// Remedy: name the key that sealed it; its id is in the column `payload_key_id` of the dead letters.
    #[error(
        "cannot unseal {belongs_to} with key {key_id} of [dead-letters] key-file: it was sealed with \
         another key, or is damaged"
    )]
    OtherKey { belongs_to: String, key_id: String },
    /// Data cannot be sealed.
    ///
    /// Cause: it is longer than the cipher allows, which is 256 GiB. A fault of audit-host: states and payloads
    /// have lower limits.
    ///
    /// Remedy: report it with the log.
    #[error("sealing failed: the data is too long")]
    Seal,
    /// Data of the warehouse or a table property is damaged.
    ///
    /// Cause: an outbox, a state, a pointer, a component or an offset was changed by somebody else.
    ///
    /// Remedy: restore the file or the property that the message names; do not remove the property.
    #[error("{what} at {location} is damaged: {problem}")]
    Damaged { what: &'static str, location: String, problem: String },
    /// A host writes to the table.
    ///
    /// Cause: a process holds a lane of the table: it runs on this machine, or committed elsewhere within the lease.
    ///
    /// Remedy: stop that host, or wait until its lease has run out.
    #[error("{table}: group {group} is written by {instance}, which {by}: stop that host first")]
    LaneHeld { table: String, group: String, instance: String, by: String },
    /// The catalog has the table already.
    ///
    /// Cause: the catalog names the newest metadata, or metadata that is newer than the folder's.
    ///
    /// Remedy: nothing is to be done.
    #[error("{table}: the catalog is up to date: it names {location}")]
    AlreadyRegistered { table: String, location: String },
    /// There is nothing to register.
    ///
    /// Cause: the table's folder does not exist, or holds no metadata that can be read.
    ///
    /// Remedy: correct `--table` or `--warehouse`; restore the folder's `metadata` from a backup; for a table that lies
    /// elsewhere name a file by `--metadata`.
    #[error("{table}: {folder} holds no metadata that can be read: {problem}")]
    NothingToRegister { table: String, folder: String, problem: String },
    /// The table's folder was moved.
    ///
    /// Cause: Iceberg names files by absolute paths, and this metadata was written for another folder.
    ///
    /// Remedy: move the folder back to where it was, or mount it there.
    #[error("{table}: {folder} was moved: it was written for {written_for}; move it back")]
    MovedTable { table: String, folder: String, written_for: String },
    /// A table is not what the command may work on.
    ///
    /// Cause: its folder is not its own, or it is not this table of audit-host. Nothing was changed.
    ///
    /// Remedy: as the message says.
    #[error("{table}: {problem}")]
    NotThisTable { table: String, problem: String },
    /// Files of a dropped table cannot be removed.
    ///
    /// Cause: the operating system refused; its reason follows.
    ///
    /// Remedy: correct owner and mode of the folder, and run the command again: it goes on where it stopped.
    #[error("removing {path}", path = .path.display())]
    Remove {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    /// The table says that nothing of it may be removed.
    ///
    /// Cause: the table property `gc.enabled` is `false`: something else looks after its snapshots and files, such
    /// as the catalog's own collector, or a table that shares its files.
    ///
    /// Remedy: use what looks after them; or, if nothing does, remove the property.
    #[error(
        "{operation} of {table}: refused, since the table property gc.enabled is false: what else looks \
         after its files must do it; if nothing does, remove the property"
    )]
    GcDisabled { table: String, operation: &'static str },
    /// The manifests of the table cannot be merged.
    ///
    /// Cause: the table property `commit.manifest-merge.enabled` is `false`, or the table is not of format
    /// version 2.
    ///
    /// Remedy: remove the property; a table of another version is merged by the engine that manages it.
    #[error(
        "merge-manifests of {table}: refused, since commit.manifest-merge.enabled is false or its format \
         version is not 2"
    )]
    MergeDisabled { table: String },
    /// Others commit faster than an operation of the upkeep.
    ///
    /// Cause: each time the operation was about to commit, somebody else had committed.
    ///
    /// Remedy: do it again later; the attempts changed nothing. A running host does it by itself.
    #[error(
        "{operation} of {table}: gave up after {attempts} attempts: others commit all the time"
    )]
    Outpaced { table: String, operation: &'static str, attempts: u32 },
    /// A file that keeps the table small cannot be written, read or removed.
    ///
    /// Cause: the disk is full, or a file or folder of the warehouse may not be written or read.
    ///
    /// Remedy: make room, or correct owner and mode of what the message names. No row depends on it, and a running
    /// host tries it again by itself.
    #[error("{attempted} {location}")]
    UpkeepFile {
        attempted: &'static str,
        location: String,
        #[source]
        cause: iceberg::Error,
    },
}

impl Error {
    /// The stable code: `docs/errors.md` has cause and remedy of each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadName { .. } => "AH-0500",
            Self::BadCatalog { .. } => "AH-0501",
            Self::BadWarehouse { .. } => "AH-0502",
            Self::OpenCatalog { .. } => "AH-0503",
            Self::Warehouse { .. } => "AH-0504",
            Self::NoWarehouse { .. } => "AH-0505",
            Self::NoTable { .. } => "AH-0506",
            Self::Table { .. } => "AH-0507",
            Self::OtherSchema { .. } => "AH-0508",
            Self::OtherSecret { .. } => "AH-0509",
            Self::Fenced { .. } => "AH-0510",
            Self::GaveUp { .. } => "AH-0511",
            Self::Files(_) => "AH-0512",
            Self::Arrow(_) => "AH-0513",
            Self::BatchColumn { .. } => "AH-0514",
            Self::Component { .. } => "AH-0515",
            Self::NoComponent { .. } => "AH-0516",
            Self::ReadKeyFile { .. } => "AH-0517",
            Self::BadKeyFile { .. } => "AH-0518",
            Self::NoKey => "AH-0519",
            Self::OtherKey { .. } => "AH-0520",
            Self::Seal => "AH-0521",
            Self::Damaged { .. } => "AH-0522",
            Self::OffsetChanged { .. } => "AH-0523",
            Self::OtherTopics { .. } => "AH-0524",
            Self::NewerTable { .. } => "AH-0525",
            Self::OtherTable { .. } => "AH-0526",
            Self::RowsGone { .. } => "AH-0527",
            Self::OldCatalog { .. } => "AH-0528",
            Self::Unregistered { .. } => "AH-0529",
            Self::MetadataFile { .. } => "AH-0530",
            Self::Pointer { .. } => "AH-0531",
            Self::OtherCatalogFile { .. } => "AH-0532",
            Self::ClockBehind { .. } => "AH-0533",
            Self::NotCommitted { .. } => "AH-0534",
            Self::UnknownOutcome { .. } => "AH-0535",
            Self::Contended { .. } => "AH-0536",
            Self::SetBack { .. } => "AH-0537",
            Self::LettersAhead { .. } => "AH-0538",
            Self::LettersBehind { .. } => "AH-0539",
            Self::LaneHeld { .. } => "AH-0550",
            Self::AlreadyRegistered { .. } => "AH-0551",
            Self::NothingToRegister { .. } => "AH-0552",
            Self::MovedTable { .. } => "AH-0553",
            Self::NotThisTable { .. } => "AH-0554",
            Self::Remove { .. } => "AH-0555",
            Self::GcDisabled { .. } => "AH-0540",
            Self::MergeDisabled { .. } => "AH-0541",
            Self::Outpaced { .. } => "AH-0542",
            Self::UpkeepFile { .. } => "AH-0543",
        }
    }

    /// What the program must do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::OpenCatalog { cause, .. } if is_passing(cause.as_ref()) => Kind::Failed,
            Self::BadName { .. }
            | Self::BadCatalog { .. }
            | Self::BadWarehouse { .. }
            | Self::OpenCatalog { .. }
            | Self::Warehouse { .. }
            | Self::NoWarehouse { .. }
            | Self::NoTable { .. }
            | Self::OtherSchema { .. }
            | Self::OtherTopics { .. }
            | Self::NewerTable { .. }
            | Self::RowsGone { .. }
            | Self::SetBack { .. }
            | Self::LettersAhead { .. }
            | Self::LettersBehind { .. }
            | Self::MetadataFile { .. }
            | Self::Damaged { .. }
            | Self::OldCatalog { .. }
            | Self::Unregistered { .. }
            | Self::BatchColumn { .. }
            | Self::NoComponent { .. }
            | Self::ReadKeyFile { .. }
            | Self::BadKeyFile { .. }
            | Self::NoKey
            | Self::OtherKey { .. }
            | Self::LaneHeld { .. }
            | Self::AlreadyRegistered { .. }
            | Self::NothingToRegister { .. }
            | Self::MovedTable { .. }
            | Self::NotThisTable { .. }
            | Self::GcDisabled { .. }
            | Self::MergeDisabled { .. }
            | Self::Seal => Kind::Config,
            Self::Fenced { .. } => Kind::Fenced,
            _ => Kind::Failed,
        }
    }
}
