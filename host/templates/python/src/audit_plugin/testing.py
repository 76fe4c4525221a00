"""The host's part in unit tests: batches from plain values, and a host that keeps log lines."""

from dataclasses import dataclass, field

from .columns import Batch, Column


@dataclass
class Context:
    """What holds for a whole batch."""

    topic: str = "audit_events"
    #: The newest Kafka timestamp, in microseconds since 1970-01-01T00:00:00Z: the only clock.
    clock: int = 0


@dataclass
class TestHost:
    """Keeps log lines; grants no key."""

    __test__ = False  # Not a test case, whatever its name says.
    lines: list[tuple[str, str]] = field(default_factory=list)

    def log(self, level: str, message: str) -> None:
        self.lines.append((level, message))

    def has_key(self, _name: str) -> bool:
        return False


def batch(**columns: Column) -> Batch:
    """A batch of columns made by `utf8`, `int32` and so on."""
    rows = {len(column.offsets) - 1 if column.offsets else len(column.values) for column in columns.values()}
    assert len(rows) == 1, f"columns of different lengths: {sorted(rows)}"
    return Batch(rows.pop(), columns)
