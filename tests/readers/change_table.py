"""Changes a table as another client of the catalog does, with PyIceberg. Prints nothing."""

import argparse

from read_table import open_catalog


def rollback(table, n_rows):
    """Back to the newest snapshot that has no more than so many rows; the properties stay as they are."""
    older = [s for s in table.metadata.snapshots if int(s.summary["total-records"]) <= n_rows]
    newest = max(older, key=lambda snapshot: snapshot.sequence_number)
    table.manage_snapshots().rollback_to_snapshot(newest.snapshot_id).commit()


def forward(table):
    """To the newest snapshot that the table has: what the documentation says about a rollback."""
    newest = max(table.metadata.snapshots, key=lambda snapshot: snapshot.sequence_number)
    table.manage_snapshots().set_current_snapshot(newest.snapshot_id).commit()


def rewrite(table):
    """The same rows in new files, as a compaction leaves them."""
    table.overwrite(table.scan().to_arrow())


def replace(catalog, name):
    """Another, empty table of the same name and columns."""
    table = catalog.load_table(name)
    catalog.drop_table(name)
    catalog.create_table(name, table.schema(), partition_spec=table.spec())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ["--catalog-db", "--catalog-name", "--warehouse", "--table"]:
        parser.add_argument(name, required=True)
    parser.add_argument("change", choices=["rollback", "forward", "rewrite", "replace", "drop"])
    parser.add_argument("--rows", type=int, help="with rollback: the most rows to be left")
    args = parser.parse_args()
    catalog = open_catalog(args.catalog_db, args.catalog_name, args.warehouse)
    if args.change == "rollback":
        rollback(catalog.load_table(args.table), args.rows)
    elif args.change == "forward":
        forward(catalog.load_table(args.table))
    elif args.change == "rewrite":
        rewrite(catalog.load_table(args.table))
    elif args.change == "drop":
        catalog.drop_table(args.table)
    else:
        replace(catalog, args.table)


if __name__ == "__main__":
    main()
