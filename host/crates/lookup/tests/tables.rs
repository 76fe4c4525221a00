//! Tables: what is found, and what is refused with which message.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::record_batch::RecordBatch;
use audit_lookup::{KeyKind, Table, TableDefinition, TooLarge};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Fixed, so that a failure can be repeated.
const SEED: u64 = 20_261_123;
/// 2025-01-01T00:00:00Z.
const NEW_YEAR: i64 = 1_735_689_600_000_000;

fn exact(key: &str) -> TableDefinition {
    TableDefinition {
        file: PathBuf::from("t.csv"),
        kind: KeyKind::Exact,
        key: key.to_owned(),
        valid_from: None,
        valid_to: None,
        file_bytes_max: None,
        rows_max: None,
    }
}

fn temporal() -> TableDefinition {
    let (from, to) = (Some("from".to_owned()), Some("to".to_owned()));
    TableDefinition { valid_from: from, valid_to: to, ..exact("k") }
}

fn cidr(key: &str) -> TableDefinition {
    TableDefinition { kind: KeyKind::Cidr, ..exact(key) }
}

fn table(definition: &TableDefinition, csv: &str) -> Table {
    Table::from_csv("lookups.t", definition, csv).unwrap()
}

fn refused(definition: &TableDefinition, csv: &str) -> String {
    Table::from_csv("lookups.t", definition, csv).expect_err(csv).to_string()
}

/// The value of a column for one key.
fn find(table: &Table, column: &str, key: &str, time: Option<i64>) -> Option<String> {
    let found = table.find(column, [key.as_bytes()].into_iter(), |_| time, 1 << 20);
    let found = found.expect("a column").expect("little");
    let is_there = found.validity == [1];
    assert!(is_there || found.values.is_empty());
    is_there.then(|| String::from_utf8(found.values).unwrap())
}

#[test]
fn rows_are_found_by_key() {
    let csv = "\u{feff}user, role\nada,admin\n\"o\"\"neil, b\",clerk\nempty,\n";
    let roles = table(&exact("user"), csv);
    assert_eq!((roles.columns(), roles.n_rows()), (&["user".into(), "role".into()][..], 3));
    assert_eq!(find(&roles, "role", "ada", None).as_deref(), Some("admin"));
    assert_eq!(find(&roles, "role", "o\"neil, b", None).as_deref(), Some("clerk"));
    assert_eq!(find(&roles, "role", "empty", None).as_deref(), Some(""));
    assert_eq!(find(&roles, "role", "Ada", None), None);
    assert_eq!(find(&roles, "role", "", None), None);
    assert!(roles.find("rank", [].into_iter(), |_| None, 10).is_none());
    let keys = || [&b"ada"[..]; 3].into_iter();
    assert_eq!(roles.find("role", keys(), |_| None, 14), Some(Err(TooLarge)));
    let found = roles.find("role", keys(), |_| None, 15).unwrap().unwrap();
    assert_eq!((found.validity, found.offsets), (vec![0b111], vec![0, 5, 10, 15]));
    assert_eq!(roles.sha256().len(), 64);
}

#[test]
fn validity_is_half_open() {
    let csv = "k,v,from,to\na,1,,2024-06-01\na,2,2024-06-01T00:00:00Z,2025-01-01T01:00:00+01:00\n\
               a,3,2025-02-01,\nb,4,,\n";
    let rows = table(&temporal(), csv);
    assert!(rows.is_temporal());
    for (time, expect) in [
        (i64::MIN, Some("1")),
        (NEW_YEAR - 1, Some("2")),
        (NEW_YEAR, None),
        (NEW_YEAR + 31 * 86_400_000_000 - 1, None),
        (NEW_YEAR + 31 * 86_400_000_000, Some("3")),
        (i64::MAX - 1, Some("3")),
    ] {
        assert_eq!(find(&rows, "v", "a", Some(time)).as_deref(), expect, "{time}");
        assert_eq!(find(&rows, "v", "b", Some(time)).as_deref(), Some("4"), "{time}");
    }
    assert_eq!(find(&rows, "v", "a", None), None);
}

#[test]
fn times_beyond_every_clock_are_for_ever() {
    let csv = |from: &str, to: &str| format!("k,v,from,to\na,1,{from},{to}\n");
    for to in [
        "9999-12-31",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59.999999-12:00",
        "9999-12-30T23:00:00+00:00",
        "+10000-01-01",
        "+262142-12-31T00:00:00Z",
    ] {
        let rows = table(&temporal(), &csv("2025-01-01", to));
        assert_eq!(find(&rows, "v", "a", Some(i64::MAX - 1)).as_deref(), Some("1"), "{to}");
        assert_eq!(find(&rows, "v", "a", Some(NEW_YEAR - 1)), None, "{to}");
    }
    for from in ["-009999-01-01T00:00:00Z", "-10000-01-01T00:00:00Z"] {
        let rows = table(&temporal(), &csv(from, "2025-01-01"));
        assert_eq!(find(&rows, "v", "a", Some(i64::MIN)).as_deref(), Some("1"), "{from}");
        assert_eq!(find(&rows, "v", "a", Some(NEW_YEAR)), None, "{from}");
    }
    for to in [
        "9999-12-32",
        "9999-12-31T23:59:59",
        "9999-12-31T24:59:59Z",
        "9999-12-31T23:59:59+99:99",
        "9999-12-31 Z",
        "10000-01-01",
        "+9999-12-31",
        "+09999-12-31",
        "+10000-02-30",
        "+10000-01-01T00:00:00",
        "-2025-01-01",
        "+1000000-01-01",
        "+",
        "é-01-01",
    ] {
        let said = refused(&temporal(), &csv("", to));
        assert!(said.contains("line 2: to is an invalid timestamp"), "{to}: {said}");
    }
}

#[test]
fn the_longest_valid_prefix_counts() {
    let csv = "k,v,from,to\n10.0.0.0/8,inside,,\n10.1.0.0/16,office,2025-01-01,\n\
               10.1.2.0/24,lab,2020-01-01,2021-01-01\n";
    let definition = TableDefinition { kind: KeyKind::Cidr, ..temporal() };
    let networks = table(&definition, csv);
    for (time, expect) in [(NEW_YEAR - 1, "inside"), (NEW_YEAR, "office")] {
        assert_eq!(find(&networks, "v", "10.1.2.3", Some(time)).as_deref(), Some(expect));
        assert_eq!(find(&networks, "v", "::ffff:10.1.2.3", Some(time)).as_deref(), Some(expect));
        assert_eq!(find(&networks, "v", "::ffff:a01:203", Some(time)).as_deref(), Some(expect));
    }
    for text in ["11.0.0.0", "10.1.2", "10.1.2.3:80", "10.1.2.3 ", "", "::10.1.2.3", "x"] {
        assert_eq!(find(&networks, "v", text, Some(NEW_YEAR)), None, "{text}");
    }
}

#[test]
fn networks_are_found_as_a_search_through_all_of_them_finds_them() {
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    for _ in 0..200 {
        // Few bits vary, so that prefixes nest and touch.
        let mut networks: Vec<(u128, u8, String)> = Vec::new();
        for _ in 0..random.random_range(1..60) {
            let bits: u8 = random.random_range(0..=128);
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            let first = scattered(&mut random) & mask;
            let text = format!("{}/{bits}", Ipv6Addr::from(first));
            if !networks.iter().any(|(a, b, _)| (*a, *b) == (first, bits)) {
                networks.push((first, bits, text));
            }
        }
        let rows: Vec<String> =
            networks.iter().enumerate().map(|(n, (.., text))| format!("{text},{n}\n")).collect();
        let table = table(&cidr("k"), &format!("k,v\n{}", rows.concat()));
        for _ in 0..200 {
            let address = scattered(&mut random);
            let holds = |(first, bits, _): &&(u128, u8, String)| {
                let shift = 128 - u32::from(*bits);
                address.checked_shr(shift).unwrap_or(0) == first.checked_shr(shift).unwrap_or(0)
            };
            let longest = networks.iter().filter(holds).max_by_key(|(_, bits, _)| *bits);
            let expect = longest.map(|(_, bits, _)| *bits);
            let text = Ipv6Addr::from(address).to_string();
            let found = find(&table, "v", &text, None);
            let found = found.map(|n| networks[n.parse::<usize>().unwrap()].1);
            assert_eq!(found, expect, "{text} in {networks:?}");
        }
    }
}

/// An address whose bits are mostly those at both ends, and IPv4 among them.
fn scattered(random: &mut ChaCha8Rng) -> u128 {
    let v4 = Ipv4Addr::from(random.random_range(0..64_u32) << 26 | random.random_range(0..4_u32));
    match random.random_range(0..3) {
        0 => match IpAddr::V4(v4) {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
            IpAddr::V6(v6) => v6.to_bits(),
        },
        1 => random.random_range(0..16_u128) << 124 | random.random_range(0..4_u128),
        _ => u128::MAX - random.random_range(0..4_u128),
    }
}

#[test]
fn wrong_tables_are_refused_with_key_file_and_line() {
    for (definition, csv, says) in [
        (exact("k"), "", "lookups.t: t.csv: it is empty"),
        (exact("k"), "k,v\n", "lookups.t: t.csv: it has no rows"),
        (exact("user"), "user_id,v\na,1\n", "lookups.t.key: the file has no column \"user\""),
        (exact("user"), "user_id,v\na,1\n", "did you mean \"user_id\"?"),
        (exact("k"), "k,v\na,1\nb\n", "t.csv, line 3: 1 values, but the first line names 2"),
        (exact("k"), "k,k\na,1\n", "line 1: duplicate column \"k\""),
        (exact("k"), "k,\na,1\n", "line 1: column 2 has no name"),
        (exact("k"), "k,v\n,1\n", "line 2: the key is empty"),
        (
            exact("k"),
            "k,v\n\"a\nb\",1\nc,1\n\"a\nb\",2\n",
            "line 5: duplicate key: line 2 has it already",
        ),
        (cidr("k"), "k,v\n10.0.0.0/8,1\n10.0.0.1/8,2\n", "line 3: the address has bits set behind"),
        (cidr("k"), "k,v\n10.0.0.0,1\n", "line 2: an address without a prefix: append /32"),
        (cidr("k"), "k,v\nhome,1\n", "line 2: not a network in CIDR notation"),
        (cidr("k"), "k,v\n10.0.0.0/8,1\n::ffff:10.0.0.0/104,1\n", "line 3: duplicate key: line 2"),
        (temporal(), "k,v\na,1\n", "lookups.t.valid-from: the file has no column \"from\""),
        (
            temporal(),
            "k,from,to\na,yesterday,\n",
            "line 2: from is an invalid timestamp: write 2025-01-16T08",
        ),
        (temporal(), "k,from,to\na,2025-01-01T00:00:00,\n", "line 2: from is an invalid timestamp"),
        (temporal(), "k,from,to\na,2025-02-30,\n", "line 2: from is an invalid timestamp"),
        (temporal(), "k,from,to\na,2025-01-01,2025-01-01\n", "line 2: to is not after from"),
        (
            temporal(),
            "k,from,to\na,2025-01-01,\nb,,\na,2024-01-01,2025-01-02\n",
            "line 4: its validity overlaps line 2 with the same key",
        ),
        (temporal(), "k,from,to\na,,\na,,\n", "line 3: its validity overlaps line 2"),
        (
            TableDefinition { valid_to: None, ..temporal() },
            "k,from,to\na,,\n",
            "lookups.t: valid-to is missing",
        ),
        (
            TableDefinition { rows_max: Some(1), ..exact("k") },
            "k\na\nb\n",
            "line 3: it has more than 1 rows",
        ),
        (
            TableDefinition { rows_max: Some(0), ..exact("k") },
            "k\na\n",
            "lookups.t.rows-max: 0 must be",
        ),
        (
            TableDefinition { file_bytes_max: Some(1 << 31), ..exact("k") },
            "k\na\n",
            "lookups.t.file-bytes-max: 2147483648 must be from 1 to 1073741824",
        ),
    ] {
        let said = refused(&definition, csv);
        assert!(said.contains(says), "{csv:?}: {said}");
    }
    // Errors do not repeat the content of rows: it may be about people.
    let said = refused(&exact("k"), "k,v\nada@example.com,1\nada@example.com,2\n");
    assert!(!said.contains("ada"), "{said}");
}

#[test]
fn an_unclosed_quote_loses_no_rows() {
    for (csv, says) in [
        ("k,v\na,\"1\nb,2\nc,3\n", "t.csv, line 2: the quote that opens here is not closed"),
        ("k,v\na,1\n\"b,2\nc,3\n", "t.csv, line 3: the quote that opens here is not closed"),
        ("k,\"v\na,1\n", "t.csv, line 1: the quote that opens here is not closed"),
        ("k,v\r\n\r\na,\"1\r\n\"\r\nb,\"2\r\n", "line 5: the quote that opens here is not closed"),
        // Closed by the one that opens the next.
        ("k,v\na,\"1\nb,\"2\"\nc,3\n", "line 2: text follows the closing quote"),
    ] {
        let said = refused(&exact("k"), csv);
        assert!(said.contains(says), "{csv:?}: {said}");
    }
    let whole = "k,v\r\na,\"1\r\n2\"\r\n\"b\" ,\"\"\"3\"\"\" \r\n";
    let rows = table(&exact("k"), whole);
    assert_eq!(find(&rows, "v", "a", None).as_deref(), Some("1\r\n2"));
    assert_eq!(find(&rows, "v", "b", None).as_deref(), Some("\"3\""));
    // More than the reader takes at a time, with a break in it.
    let long = format!("k,v\n{}", "\"a\n\",b\n".replace('a', &"a".repeat(9000)));
    assert_eq!(table(&exact("k"), &long).n_rows(), 1);
    let long: Vec<String> = (0..5000).map(|n| format!("\"{n}\n\",x\r\n")).collect();
    let said = refused(&exact("k"), &format!("k,v\r\n{}y\r\n", long.concat()));
    assert!(said.contains("line 10002: 1 values"), "{said}");
}

#[test]
fn lines_are_counted_as_an_editor_counts_them() {
    for (csv, line) in [
        ("k,v\na,1\nb\n", 3),
        ("k,v\r\na,1\r\nb\r\n", 3),
        ("k,v\ra,1\rb\r", 3),
        ("\n\nk,v\n\na,1\n\n\nb\n", 8),
        ("\r\n\r\nk,v\r\n\r\na,1\r\n\r\n\r\nb", 8),
        ("k,v\r\n\"a\r\n\",\"\n\n1\"\r\nb\r\n", 6),
    ] {
        let said = refused(&exact("k"), csv);
        assert!(said.contains(&format!("t.csv, line {line}: 1 values")), "{csv:?}: {said}");
        let said = refused(&exact("k"), &csv.replace('b', ",2"));
        assert!(said.contains(&format!("t.csv, line {line}: the key is empty")), "{csv:?}: {said}");
    }
}

#[test]
fn a_version_is_of_the_file_and_of_how_it_is_read() {
    let csv = "k,v,from,to\n10.0.0.0/8,10.1.0.0/16,2025-01-01,2025-02-01\n";
    let plain = table(&exact("k"), csv);
    // Computed as in docs/operations.md.
    assert_eq!(plain.version(), "bfc080736856c6937d391214bf74368f069fb0c89892fa0b4da343c860f260d6");
    let other = [
        table(&exact("k"), &csv.replace("02-01", "02-02")),
        table(&exact("v"), csv),
        table(&cidr("k"), csv),
        table(&temporal(), csv),
    ];
    let mut versions: Vec<&str> = other.iter().chain([&plain]).map(Table::version).collect();
    versions.sort_unstable();
    versions.dedup();
    assert_eq!(versions.len(), 5);
    assert!(other.iter().skip(1).all(|table| table.sha256() == plain.sha256()));
    let larger = TableDefinition { rows_max: Some(7), ..exact("k") };
    assert_eq!(table(&larger, csv).version(), plain.version(), "it answers alike");
}

fn load(definition: &TableDefinition, path: &Path) -> Result<Table, String> {
    let definition = TableDefinition { file: path.to_owned(), ..definition.clone() };
    Table::load("lookups.t", &definition).map(|(table, _)| table).map_err(|e| e.to_string())
}

#[test]
fn files_that_are_not_tables_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    let said = load(&exact("k"), &path).unwrap_err();
    assert!(said.contains("t.csv: it cannot be read: No such file"), "{said}");
    let said = load(&exact("k"), folder.path()).unwrap_err();
    assert!(said.contains("it is not a file"), "{said}");
    let said = load(&exact("k"), Path::new("/dev/zero")).unwrap_err();
    assert!(said.contains("it is not a file"), "{said}");

    fs::write(&path, b"k,v\na,1\nb,\xff\n").unwrap();
    let said = load(&exact("k"), &path).unwrap_err();
    assert!(said.contains("line 3: it is not UTF-8"), "{said}");
    fs::write(&path, [0_u8; 4096]).unwrap();
    assert!(load(&exact("k"), &path).is_err());

    // Nothing of it is read.
    fs::File::create(&path).unwrap().set_len(1 << 30).expect("as the test says");
    let said = load(&exact("k"), &path).unwrap_err();
    assert!(
        said.contains("has 1073741824 bytes, more than 67108864 (lookups.t.file-bytes-max)"),
        "{said}"
    );
    let pipe = folder.path().join("pipe.csv");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    if made.is_ok_and(|status| status.success()) {
        let said = load(&exact("k"), &pipe).unwrap_err();
        assert!(said.contains("it is not a file"), "{said}");
    }
}

fn parquet(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let snappy = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let file = fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(snappy)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn parquet_is_read_as_csv_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let keys = || -> ArrayRef { Arc::new(Int64Array::from(vec![7, 7, 8])) };
    let values: ArrayRef = Arc::new(StringArray::from(vec![Some("old"), Some("new"), None]));
    let from = TimestampMicrosecondArray::from(vec![None, Some(NEW_YEAR), None]);
    let to = TimestampMicrosecondArray::from(vec![Some(NEW_YEAR), None, None]);
    let columns = vec![
        ("k", keys()),
        ("v", values),
        ("from", Arc::new(from) as ArrayRef),
        ("to", Arc::new(to)),
    ];
    parquet(&path, columns);
    let rows = load(&temporal(), &path).unwrap();
    assert_eq!(find(&rows, "v", "7", Some(NEW_YEAR - 1)).as_deref(), Some("old"));
    assert_eq!(find(&rows, "v", "7", Some(NEW_YEAR)).as_deref(), Some("new"));
    assert_eq!(find(&rows, "v", "8", Some(0)).as_deref(), Some(""));

    parquet(&path, vec![("k", keys())]);
    let said = load(&exact("k"), &path).unwrap_err();
    assert!(said.contains("t.parquet, row 2: duplicate key: row 1 has it already"), "{said}");
    let text: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(1000); 1000]));
    parquet(&path, vec![("k", text)]);
    let small = TableDefinition { file_bytes_max: Some(50_000), ..exact("k") };
    assert!(fs::metadata(&path).unwrap().len() < 50_000, "it is compressed well");
    let said = load(&small, &path).unwrap_err();
    assert!(said.contains("more than 50000") && said.contains("file-bytes-max"), "{said}");
    fs::write(&path, b"PAR1 this is not parquet PAR1").unwrap();
    let said = load(&exact("k"), &path).unwrap_err();
    assert!(said.contains("it is not a valid Parquet file"), "{said}");
}
