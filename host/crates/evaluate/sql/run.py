"""Runs the pattern's own SQL on a generated stream, as the pattern would: the alert every hour, the
reports every night, each over the rows that had arrived by then.

Prints a finding a line as JSON: rule, key, when it was found, and which span of event time it is about.
A report lists everything again each night; only what it did not list the night before is a finding.
"""

import datetime
import json
import pathlib
import sys

import duckdb

HOUR = datetime.timedelta(hours=1)
DAY = datetime.timedelta(days=1)
EPOCH = datetime.datetime(1970, 1, 1)

# Query, the rule that it is compared with, how often it runs, the column of its key, and the column
# of its event time if it lists events.
QUERIES = [
    ("failed_logins_hourly", "failed-logins", HOUR, "ip_address", None),
    ("failed_logins_report", "password-spray", DAY, "ip_address", None),
    ("off_hours", "off-hours-access", DAY, "user_email", "event_timestamp"),
    ("ip_changes", "ip-spread", DAY, "user_email", None),
    ("permission_changes", "privilege-change", DAY, "changed_by", "event_timestamp"),
    ("export_volume", "mass-export", DAY, "user_email", None),
    ("data_access", "unusual-volume", DAY, "user_email", None),
]


def micros(time):
    return (time - EPOCH) // datetime.timedelta(microseconds=1)


def open_stream(path):
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    con.execute(
        """
        CREATE TABLE stream AS
        SELECT * EXCLUDE (event_timestamp, received),
            CAST(event_timestamp AS TIMESTAMP) AS event_timestamp,
            make_timestamp(received) AS received
        FROM read_json(?, format = 'newline_delimited', columns = {
            audit_id: 'VARCHAR', event_timestamp: 'VARCHAR', user_id: 'VARCHAR',
            user_email: 'VARCHAR', action_type: 'VARCHAR', resource_type: 'VARCHAR',
            resource_id: 'VARCHAR', resource_name: 'VARCHAR', action_result: 'VARCHAR',
            ip_address: 'VARCHAR', user_agent: 'VARCHAR', session_id: 'VARCHAR',
            details: 'VARCHAR', received: 'BIGINT'})
        ORDER BY received
        """,
        [path],
    )
    con.execute(
        "CREATE VIEW audit_trail AS SELECT * FROM stream WHERE received <= getvariable('now')"
    )
    return con


def found(con, sql, key_column, time_column):
    """What the query lists now: by what makes it the same the next time, the key and the event time."""
    cursor = con.execute(sql)
    names = [column[0] for column in cursor.description]
    rows = {}
    for row in cursor.fetchall():
        values = dict(zip(names, row))
        key = values[key_column]
        time = values[time_column] if time_column else None
        identity = row if time_column else key
        rows[identity] = (key, time)
    return rows


def findings(con, folder, query):
    name, rule, every, key_column, time_column = query
    sql = (folder / f"{name}.sql").read_text()
    first, last = con.execute("SELECT MIN(received), MAX(received) FROM stream").fetchone()
    now = first.replace(minute=0, second=0, microsecond=0)
    if every == DAY:
        now = now.replace(hour=0)
    before = {}
    while now < last + every:
        now += every
        con.execute("SET VARIABLE now = ?::TIMESTAMP", [now])
        rows = found(con, sql, key_column, time_column)
        for identity in rows.keys() - before.keys():
            key, time = rows[identity]
            yield {
                "query": name,
                "rule": rule,
                "key": key,
                "from": micros(time if time else now - every),
                "until": micros(time if time else now),
                "found": micros(now),
            }
        before = rows


def main(argv):
    if len(argv) != 2:
        print("usage: run.py EVENTS.jsonl", file=sys.stderr)
        return 2
    con = open_stream(argv[1])
    users = dict(con.execute("SELECT DISTINCT user_email, user_id FROM stream").fetchall())
    for query in QUERIES:
        for finding in findings(con, pathlib.Path(__file__).parent, query):
            finding["key"] = users.get(finding["key"], finding["key"])
            print(json.dumps(finding))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
