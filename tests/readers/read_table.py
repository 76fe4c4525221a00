"""Reads an Iceberg table with two readers that share no code with the host.

PyIceberg scans through the SQLite catalog; DuckDB scans the metadata file that the catalog names.
Prints one JSON object. Ends with 1 when a reader fails, 2 on wrong usage.
"""

import argparse
import collections
import datetime
import json
import os
import pathlib
import sys
import tempfile

import duckdb
import duckdb_ext
import pyarrow
import pyarrow.compute as pc
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import NoSuchTableError

# Where a row came from: unique over the whole table, or rows were written twice.
ORIGIN = ["source_topic", "source_partition", "source_offset"]
EVENT_TIME = "event_timestamp"
ACTION = "action_type"


def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--catalog-db", help="the SQLite file of the catalog")
    parser.add_argument("--catalog-name", help="the catalog's name in that file")
    parser.add_argument("--warehouse", help="the warehouse folder or URI")
    parser.add_argument("--table", help="namespace.name")
    parser.add_argument("--grep-file", help="count the occurrences of its lines in string columns")
    parser.add_argument("--dump", help="columns to write, joined by commas")
    parser.add_argument("--out", help="the JSON lines file that --dump writes")
    parser.add_argument(
        "--no-scan", action="store_true", help="read manifests alone: for tables of many files"
    )
    parser.add_argument("--self-check", action="store_true", help="read a table made for the check")
    args = parser.parse_args(argv)
    needed = ["catalog_db", "catalog_name", "warehouse", "table"]
    missing = [name for name in needed if getattr(args, name) is None]
    if missing and not args.self_check:
        parser.error("missing: " + ", ".join("--" + name.replace("_", "-") for name in missing))
    if bool(args.dump) != bool(args.out):
        parser.error("--dump and --out go together")
    if args.no_scan and (args.dump or args.grep_file):
        parser.error("--no-scan leaves nothing to --dump or --grep-file")
    return args


def open_catalog(db, name, warehouse):
    location = warehouse if "://" in warehouse else pathlib.Path(warehouse).resolve().as_uri()
    path = pathlib.Path(db).resolve()
    # The tables of the catalog are the writer's to make: a reader that makes them hides a fault.
    return SqlCatalog(
        name, uri=f"sqlite:///{path}", warehouse=location, init_catalog_tables="false"
    )


def open_duckdb():
    """DuckDB with the extensions of the Python packages: nothing is fetched while a test runs."""
    connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    connection.execute("SET autoload_known_extensions = false; SET TimeZone = 'UTC'")
    root = pathlib.Path(list(duckdb_ext.__path__)[0])
    for name in ["avro", "iceberg"]:
        found = sorted(root.glob(f"extensions/v{duckdb.__version__}/*/{name}.duckdb_extension"))
        if not found:
            raise SystemExit(f"no {name} extension for DuckDB {duckdb.__version__} in {root}")
        connection.execute(f"LOAD '{found[0]}'")
    return connection


def time_text(value):
    """UTC with six digits, so that both readers print the same for the same instant."""
    if value is None:
        return None
    if value.tzinfo is not None:
        value = value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    return value.isoformat(timespec="microseconds")


def read_by_pyiceberg(rows):
    names = rows.column_names
    result = {"rows": rows.num_rows, "columns": names}
    origin = [name for name in ORIGIN if name in names]
    if origin:
        result["distinct_origins"] = rows.select(origin).group_by(origin).aggregate([]).num_rows
    if EVENT_TIME in names:
        span = pc.min_max(rows[EVENT_TIME]).as_py()
        result["event_timestamp_min"] = time_text(span["min"])
        result["event_timestamp_max"] = time_text(span["max"])
    if ACTION in names:
        counts = pc.value_counts(rows[ACTION]).to_pylist()
        result["by_action_type"] = by_action((c["values"], c["counts"]) for c in counts)
    return result


def by_action(counts):
    return {str(action): n for action, n in sorted(counts, key=lambda count: str(count[0]))}


def read_by_duckdb(metadata_location):
    connection = open_duckdb()
    path = metadata_location.removeprefix("file:")
    path = "/" + path.lstrip("/") if path.startswith("/") else path
    scan = f"iceberg_scan({quoted(path)})"

    def one(query):
        return connection.execute(query).fetchone()

    described = connection.execute(f"DESCRIBE SELECT * FROM {scan}").fetchall()
    names = [row[0] for row in described]
    result = {"rows": one(f"SELECT count(*) FROM {scan}")[0], "columns": names}
    origin = ", ".join(name for name in ORIGIN if name in names)
    if origin:
        query = f"SELECT count(*) FROM (SELECT DISTINCT {origin} FROM {scan})"
        result["distinct_origins"] = one(query)[0]
    if EVENT_TIME in names:
        # As a plain timestamp in UTC: with a zone DuckDB's Python client wants pytz.
        plain = f"timezone('UTC', {EVENT_TIME}::TIMESTAMPTZ)"
        low, high = one(f"SELECT min({plain}), max({plain}) FROM {scan}")
        result["event_timestamp_min"] = time_text(low)
        result["event_timestamp_max"] = time_text(high)
    if ACTION in names:
        query = f"SELECT {ACTION}, count(*) FROM {scan} GROUP BY 1"
        result["by_action_type"] = by_action(connection.execute(query).fetchall())
    return result


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def grep(rows, path):
    """How often each string column contains each of the lines, as {column: {line: occurrences}}."""
    lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    needles = sorted({line for line in lines if line})
    found = {}
    for field in rows.schema:
        if not (pyarrow.types.is_string(field.type) or pyarrow.types.is_large_string(field.type)):
            continue
        # Values repeat: each distinct one is searched once and counted as often as it occurs.
        counts = pc.value_counts(rows[field.name].combine_chunks())
        hits = grep_column(counts.to_pylist(), needles) if needles else {}
        if hits:
            found[field.name] = hits
    total = sum(n for hits in found.values() for n in hits.values())
    return {"needles": len(needles), "occurrences": total, "by_column": found}


def grep_column(counts, needles):
    """One pass over the text for all needles, by their first characters: there may be thousands."""
    n_chars = min(len(needle) for needle in needles)
    by_start = collections.defaultdict(list)
    for needle in needles:
        by_start[needle[:n_chars]].append(needle)
    hits = collections.Counter()
    for count in counts:
        text = count["values"] or ""
        for i in range(len(text) - n_chars + 1):
            for needle in by_start.get(text[i : i + n_chars], ()):
                if text.startswith(needle, i):
                    hits[needle] += count["counts"]
    return dict(hits)


def dump(rows, columns, path):
    wanted = [name.strip() for name in columns.split(",")]
    unknown = [name for name in wanted if name not in rows.column_names]
    if unknown:
        raise SystemExit(f"--dump: no column {', '.join(unknown)}")
    with open(path, "w", encoding="utf-8") as out:
        for batch in rows.select(wanted).to_batches():
            for row in batch.to_pylist():
                out.write(json.dumps(row, default=plain, ensure_ascii=False) + "\n")


def plain(value):
    if isinstance(value, datetime.datetime):
        return time_text(value)
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    return str(value)


def read_manifests(table):
    """Of every data file what the manifests say, and whether it is there in that size."""
    files = [task.file for task in table.scan().plan_files()]
    names = [field.name for field in table.spec().fields]
    paths = [pathlib.Path(file.file_path.removeprefix("file:")) for file in files]
    absent = [str(p) for p, f in zip(paths, files) if not is_file_of(p, f.file_size_in_bytes)]
    partitions = {tuple(file.partition[i] for i in range(len(names))) for file in files}
    return {
        "count": len(files),
        "rows": sum(file.record_count for file in files),
        "absent": absent,
        "by_partition_field": {
            name: len({values[i] for values in partitions}) for i, name in enumerate(names)
        },
    }


def is_file_of(path, n_bytes):
    return path.is_file() and path.stat().st_size == n_bytes


def summary_of(snapshot):
    if snapshot is None or snapshot.summary is None:
        return None
    return {"operation": snapshot.summary.operation.value, **snapshot.summary.additional_properties}


def read(args):
    catalog = open_catalog(args.catalog_db, args.catalog_name, args.warehouse)
    table = catalog.load_table(args.table)
    result = {
        "table": args.table,
        "metadata_location": table.metadata_location,
        "snapshots": len(table.metadata.snapshots),
        "properties": dict(table.properties),
        "partition_spec": [field.name for field in table.spec().fields],
        "summary": summary_of(table.current_snapshot()),
        "summaries": [summary_of(snapshot) for snapshot in table.metadata.snapshots],
    }
    if args.no_scan:
        result["files"] = read_manifests(table)
        return result
    rows = table.scan().to_arrow()
    result["pyiceberg"] = read_by_pyiceberg(rows)
    result["duckdb"] = read_by_duckdb(table.metadata_location)
    if args.grep_file:
        result["grep"] = grep(rows, args.grep_file)
    if args.dump:
        dump(rows, args.dump, args.out)
    return result


def self_check():
    """Writes a table of three rows with PyIceberg and reads it back by command lines, as tests do."""
    with tempfile.TemporaryDirectory() as folder:
        table = make_small_table(folder)
        out, needles = os.path.join(folder, "out.jsonl"), os.path.join(folder, "needles.txt")
        pathlib.Path(needles).write_text("a@example.com\nb@example.com\n", encoding="utf-8")
        dumped = ["--dump", f"{EVENT_TIME},user_email", "--out", out]
        result = answer([*table, "--grep-file", needles, *dumped])
        n_dumped = len(pathlib.Path(out).read_text(encoding="utf-8").splitlines())
        files = answer([*table, "--no-scan"])["files"]
    expected = {
        "rows": 3,
        "columns": [EVENT_TIME, ACTION, *ORIGIN, "user_email"],
        "distinct_origins": 3,
        "event_timestamp_min": "2024-01-01T00:00:00.000001",
        "event_timestamp_max": "2024-01-03T00:00:00.000001",
        "by_action_type": {"login": 2, "logout": 1},
    }
    checks = [
        ("pyiceberg", result["pyiceberg"], expected),
        ("duckdb", result["duckdb"], expected),
        ("grep", result["grep"]["by_column"], {"user_email": {"a@example.com": 2}}),
        ("snapshots", result["snapshots"], 1),
        ("property", result["properties"].get("owner"), "self-check"),
        ("summary", result["summary"]["total-records"], "3"),
        ("dump", n_dumped, 3),
        ("files", [files["count"], files["rows"], files["absent"]], [3, 3, []]),
    ]
    wrong = [f"{name}: {got} instead of {want}" for name, got, want in checks if got != want]
    if wrong:
        raise SystemExit("self-check failed:\n" + "\n".join(wrong))
    return {"self_check": "passed", "pyarrow": pyarrow.__version__, "duckdb": duckdb.__version__}


def make_small_table(folder):
    """Writes the table and returns the arguments that name it."""
    from pyiceberg.transforms import DayTransform, IdentityTransform

    db, warehouse = os.path.join(folder, "catalog.db"), os.path.join(folder, "warehouse")
    pathlib.Path(warehouse).mkdir()
    uri = pathlib.Path(warehouse).as_uri()
    catalog = SqlCatalog("check", uri=f"sqlite:///{db}", warehouse=uri)
    catalog.create_namespace("demo")
    zone = datetime.timezone.utc
    rows = pyarrow.table({
        EVENT_TIME: pyarrow.array(
            [datetime.datetime(2024, 1, day, microsecond=1, tzinfo=zone) for day in (1, 2, 3)],
            pyarrow.timestamp("us", "UTC"),
        ),
        ACTION: ["login", "login", "logout"],
        "source_topic": ["t", "t", "t"],
        "source_partition": pyarrow.array([0, 0, 1], pyarrow.int32()),
        "source_offset": pyarrow.array([0, 1, 0], pyarrow.int64()),
        "user_email": ["a@example.com", "to a@example.com", None],
    })
    table = catalog.create_table("demo.small", rows.schema, properties={"owner": "self-check"})
    with table.update_spec() as update:
        update.add_field(EVENT_TIME, DayTransform(), "event_day")
        update.add_field(ACTION, IdentityTransform(), ACTION + "_part")
    table.append(rows)
    catalog = ["--catalog-db", db, "--catalog-name", "check"]
    return [*catalog, "--warehouse", warehouse, "--table", "demo.small"]


def answer(argv):
    """What a command line gives, as the one JSON object that it prints."""
    args = parse_args(argv)
    try:
        result = self_check() if args.self_check else read(args)
    except NoSuchTableError as error:
        raise SystemExit(f"no such table: {error}") from error
    return json.loads(json.dumps(result, default=plain, ensure_ascii=False))


def main(argv):
    print(json.dumps(answer(argv), ensure_ascii=False))


if __name__ == "__main__":
    main(sys.argv[1:])
