//! The objects of the upkeep: JSON below `WAREHOUSE/.audit-host/`, named by its SHA-256, and found by a pointer in
//! a property of the table.

use iceberg::table::Table;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::catalog::Store;
use crate::error::Error;
use crate::private;
use crate::table::outbox::Pointer;

/// The history of expired snapshots. It belongs to the table and not to a group: no group has an empty name.
pub(crate) const HISTORY_PROPERTY: &str = "audit-host...history";
/// What the table has stopped naming.
pub(crate) const GARBAGE_PROPERTY: &str = "audit-host...garbage";

/// The folders of the objects.
pub(super) const HISTORY_FOLDER: &str = "history";
pub(super) const GARBAGE_FOLDER: &str = "garbage";

/// An object as it was read: whether it is there must be known for sure before anything is concluded from it.
pub(super) enum Stored<T> {
    Found(T),
    /// It does not exist, is not what the pointer promises, or lies outside the folder.
    Damaged(String),
}

/// Writes an object. Its content must be unique (table and time are in it): what is removed later must never be
/// the same object as one that is written again.
pub(super) async fn put(
    store: &Store,
    folder: &str,
    value: &impl Serialize,
) -> Result<Pointer, Error> {
    let bytes = serde_json::to_vec(value).map_err(|cause| Error::Damaged {
        what: "an object to be stored",
        location: folder.to_owned(),
        problem: cause.to_string(),
    })?;
    let sha256 = hex::encode(Sha256::digest(&bytes));
    let location = format!("{}/{folder}/{sha256}", store.own_folder());
    let failed = |cause| file_error("writing", &location, cause);
    let output = store.file_io.new_output(&location).map_err(failed)?;
    output.write(bytes.into()).await.map_err(failed)?;
    private::file(&location);
    Ok(of_table(location, sha256))
}

/// A pointer that belongs to the table and to no group.
pub(super) fn of_table(location: String, sha256: String) -> Pointer {
    Pointer { group: String::new(), location, sha256, sequence: None }
}

/// Reads an object. An error means that it is unknown whether it is there.
pub(super) async fn get<T: DeserializeOwned>(
    store: &Store,
    pointer: &Pointer,
) -> Result<Stored<T>, Error> {
    // The pointer comes from the table, which others can write: it must not lead out of the folder.
    let own = format!("{}/", store.own_folder());
    if !pointer.location.starts_with(&own) || pointer.location.contains("..") {
        return Ok(Stored::Damaged(format!("it lies outside {own}")));
    }
    let failed = |cause| file_error("reading", &pointer.location, cause);
    if !store.file_io.exists(&pointer.location).await.map_err(failed)? {
        return Ok(Stored::Damaged("it does not exist".to_owned()));
    }
    let input = store.file_io.new_input(&pointer.location).map_err(failed)?;
    let bytes = input.read().await.map_err(failed)?;
    if hex::encode(Sha256::digest(&bytes)) != pointer.sha256 {
        return Ok(Stored::Damaged("its SHA-256 is not the one of its pointer".to_owned()));
    }
    match serde_json::from_slice(&bytes) {
        Ok(value) => Ok(Stored::Found(value)),
        Err(cause) => Ok(Stored::Damaged(cause.to_string())),
    }
}

/// What was attempted with a file, and why it failed.
pub(super) fn file_error(attempted: &'static str, location: &str, cause: iceberg::Error) -> Error {
    Error::UpkeepFile { attempted, location: location.to_owned(), cause }
}

/// The pointer in a property of the table.
pub(super) fn pointer_in(table: &Table, property: &str) -> Result<Option<Pointer>, Error> {
    let json = table.metadata().properties().get(property);
    json.map(|json| Pointer::parse(property, json)).transpose()
}

/// Removes objects that no table names, because the commit that would have named them was not made.
pub(super) async fn discard(store: &Store, pointers: &[Pointer]) {
    for pointer in pointers {
        if let Err(error) = store.file_io.delete(&pointer.location).await {
            let location = &pointer.location;
            tracing::debug!(location, %error, "could not remove an object that was not needed");
        }
    }
}
