"""What a plugin says about itself and about a batch."""

from dataclasses import dataclass, field
from typing import Any

from .columns import Column


@dataclass(frozen=True)
class Description:
    """What a plugin is, whatever its configuration."""

    name: str
    kind: str  # "transform" or "detector"
    version: str = "0.1.0"
    #: JSON Schema of the configuration.
    config_schema: dict[str, Any] = field(default_factory=lambda: {"type": "object"})
    #: The columns that identify what a detector counts.
    key_columns: tuple[str, ...] = ()
    #: The version of the format of `snapshot`; 0 for a plugin without state.
    state_version: int = 0


@dataclass(frozen=True)
class Output:
    """A column that a transform replaces or adds."""

    name: str
    type: str = "utf8"
    #: Whether equal values stay equal: detectors may then key on the column.
    preserves_equality: bool = False


@dataclass
class Alert:
    """A finding of a detector. Times are microseconds since 1970-01-01T00:00:00Z."""

    rule: str
    severity: str  # info, low, medium, high or critical
    window_start: int
    first_event: int
    last_event: int
    count: int
    message: str
    key: dict[str, str] = field(default_factory=dict)
    #: Partition and offset of the newest events.
    events: list[tuple[int, int]] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)


@dataclass
class Judgement:
    """What a plugin says about a batch. Rows that it does not name are kept as they are."""

    columns: dict[str, Column] = field(default_factory=dict)
    #: Rows to take out, and why.
    quarantined: list[tuple[int, str]] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
