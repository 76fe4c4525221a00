"""Expires snapshots of a table as another client of the catalog does, with PyIceberg.

Every snapshot but the newest goes; its metadata files and manifests stay. Prints how many are left.
"""

import argparse
import datetime

from pyiceberg.exceptions import CommitFailedException
from read_table import open_catalog

# A host that commits several times a second wins some of the races.
ATTEMPTS_MAX = 50


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ["--catalog-db", "--catalog-name", "--warehouse", "--table"]:
        parser.add_argument(name, required=True)
    args = parser.parse_args()
    catalog = open_catalog(args.catalog_db, args.catalog_name, args.warehouse)
    for attempt in range(ATTEMPTS_MAX):
        table = catalog.load_table(args.table)
        now = datetime.datetime.now(datetime.timezone.utc)
        try:
            table.maintenance.expire_snapshots().older_than(now).commit()
            break
        except CommitFailedException:
            if attempt + 1 == ATTEMPTS_MAX:
                raise
    print(len(catalog.load_table(args.table).metadata.snapshots))


if __name__ == "__main__":
    main()
