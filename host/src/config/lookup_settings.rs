//! The keys of `[lookups.NAME]` and `[calendars.NAME]`, which `audit_lookup` reads and checks, for the docs.

use audit_lookup::TableDefinition;

use super::setting::{DefaultValue, Range, Setting};

const FILE_BYTES: (u64, u64) = TableDefinition::FILE_BYTES;
const ROWS: (u64, u64) = TableDefinition::ROWS;

/// `[lookups.NAME]`.
pub(super) const TABLE: [Setting; 7] = [
    Setting::file().required("the file").declared("file", &["The file: CSV, or Parquet if its name ends with `.parquet`."]),
    Setting::file()
        .required("the column")
        .range(Range::Described("a column of the file"))
        .declared("key", &["The column to search."]),
    Setting::file()
        .default(DefaultValue::Text("exact"))
        .range(Range::Described("`exact`, `cidr`"))
        .declared(
            "kind",
            &[
                "How a key is found.",
                "",
                "`exact`: byte by byte. `cidr`: as the network that contains an address; the longest prefix wins.",
            ],
        ),
    Setting::file()
        .range(Range::Described("a column of the file; both or neither"))
        .declared(
            "valid_from",
            &[
                "Start of a row's validity, inclusive.",
                "",
                "The row is looked up as of the time of an event.",
            ],
        ),
    Setting::file()
        .range(Range::Described("a column of the file; both or neither"))
        .declared("valid_to", &["End of a row's validity, exclusive."]),
    Setting::file()
        .default(DefaultValue::Bytes(|| TableDefinition::FILE_BYTES_DEFAULT))
        .range(Range::Bytes(FILE_BYTES.0, FILE_BYTES.1))
        .declared(
            "file_bytes_max",
            &["Size of the file, and of the values in it (Parquet: uncompressed)."],
        ),
    Setting::file()
        .default(DefaultValue::Number(|| TableDefinition::ROWS_DEFAULT))
        .range(Range::Number(ROWS.0, ROWS.1))
        .declared("rows_max", &["Rows of the file."]),
];

/// `[calendars.NAME]`.
pub(super) const CALENDAR: [Setting; 3] = [
    Setting::file()
        .required("the time zone")
        .range(Range::Described("a name of the IANA database, such as `Europe/Berlin`"))
        .declared(
            "time_zone",
            &[
                "Time zone of the hours.",
                "",
                "The IANA database is part of the program. `Factory` and `Etc/Unknown` are refused.",
            ],
        ),
    Setting::file()
        .required("the hours")
        .range(Range::Described("a list such as `[\"mon-fri 09:00-12:00,13:00-17:00\"]`"))
        .declared(
            "hours",
            &[
                "When it is open, in local time; the end is exclusive.",
                "",
                "`sat 22:00-06:00` continues past midnight; `24:00` is the end of a day. Overlaps are refused.",
            ],
        ),
    Setting::file()
        .range(Range::Described("1 to 10,000 rows, at most 1 MiB"))
        .declared(
            "holidays",
            &["CSV file of holidays: a column `date` (`2025-12-25`), and optionally `name`."],
        ),
];
