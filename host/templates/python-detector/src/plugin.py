"""Raises an alert when a user has more events in a window of time than allowed.

Windows lie side by side and one is open at a time: the state is one count a user, and bounded. An
event that comes after its window was closed is not counted.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

from audit_plugin import (
    Alert,
    Batch,
    Description,
    Judgement,
    StateError,
    UnsupportedVersion,
    in_range,
    settings,
)

#: The newest events that an alert shows.
EVENTS_MAX = 10
SECOND_MICROS = 1_000_000


@dataclass
class Tally:
    """The events of one user in the window."""

    first: int
    last: int
    count: int = 0
    #: Partition and offset.
    events: list[tuple[int, int]] = field(default_factory=list)

    def add(self, time: int, partition: int | None, offset: int | None) -> None:
        """Counts an event."""
        self.count += 1
        self.first = min(self.first, time)
        self.last = max(self.last, time)
        if partition is not None and offset is not None:
            self.events = [*self.events[1 - EVENTS_MAX :], (partition, offset)]


class Plugin:
    """The plugin as it was configured, with what it remembers."""

    DESCRIPTION = Description(
        name="{{name}}",
        kind="detector",
        key_columns=("user_id",),
        # Raise it when the format of `snapshot` changes.
        state_version=1,
        config_schema={
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "threshold": {"type": "integer", "minimum": 1, "maximum": 1_000_000, "default": 100},
                "window-seconds": {"type": "integer", "minimum": 1, "maximum": 86_400, "default": 3600},
                "max-users": {"type": "integer", "minimum": 1, "maximum": 100_000, "default": 10_000},
            },
        },
    )

    #: The columns that `process` needs.
    reads = ("user_id", "event_timestamp", "source_partition", "source_offset")

    def __init__(self, config: dict[str, Any], host: Any) -> None:
        checked = settings(config, {"threshold": 100, "window-seconds": 3600, "max-users": 10_000})
        in_range("threshold", checked["threshold"], 1, 1_000_000)
        in_range("window-seconds", checked["window-seconds"], 1, 86_400)
        in_range("max-users", checked["max-users"], 1, 100_000)
        self.threshold: int = checked["threshold"]
        self.window_seconds: int = checked["window-seconds"]
        self.max_users: int = checked["max-users"]
        self.host = host
        #: Where the open window starts, in microseconds.
        self.window = 0
        self.users: dict[str, Tally] = {}

    def process(self, batch: Batch, context: Any) -> Judgement:
        """Judges one batch; the same batches in the same order give the same alerts."""
        # All columns first: a fault must leave the state as it was.
        rows = zip(
            batch.text("user_id"),
            batch.timestamp("event_timestamp"),
            batch.int32("source_partition"),
            batch.int64("source_offset"),
        )
        judgement = Judgement()
        uncounted = 0
        for user, stamped, partition, offset in rows:
            if user is None or stamped is None:
                continue
            # Event times come from clients: none is believed to be ahead of Kafka's clock, or one
            # wrong event would close the window for all others.
            time = min(stamped, context.clock)
            if not self._open(time):
                continue
            tally = self._tally(user, time)
            if tally is None:
                uncounted += 1
                continue
            tally.add(time, partition, offset)
            # Once a window: a second alert of the same rule, key and window is the same alert.
            if tally.count == self.threshold + 1:
                judgement.alerts.append(self._alert(user, tally))
        if uncounted:
            self.host.log(
                "warn", f"{uncounted} events of further users were not counted: raise max-users"
            )
        return judgement

    def snapshot(self) -> dict[str, Any]:
        """The state as JSON has it."""
        return {
            "window": self.window,
            "users": {user: asdict(tally) for user, tally in self.users.items()},
        }

    def restore(self, state: dict[str, Any], version: int) -> None:
        """Takes a state over: all of it, or none where anything is wrong with it.

        The version is the `state_version` of the plugin that wrote it: to read an older format too, tell
        them apart here.
        """
        if version != self.DESCRIPTION.state_version:
            raise UnsupportedVersion()
        try:
            window, users = state["window"], {}
            for user, tally in state["users"].items():
                events = [(int(partition), int(offset)) for partition, offset in tally.pop("events")]
                numbers = {name: int(value) for name, value in tally.items()}
                users[user] = Tally(**numbers, events=events[-EVENTS_MAX:])
        except (AttributeError, KeyError, TypeError, ValueError):
            raise StateError("not a state of this detector") from None
        self.window, self.users = int(window), users

    def _open(self, time: int) -> bool:
        """Whether the window of that time is open; a later one closes the one before."""
        window = time - time % (self.window_seconds * SECOND_MICROS)
        if window > self.window:
            self.window = window
            self.users.clear()
        return window == self.window

    def _tally(self, user: str, time: int) -> Tally | None:
        """The count of a user; none where there is no room for another one."""
        tally = self.users.get(user)
        if tally is None and len(self.users) < self.max_users:
            tally = self.users[user] = Tally(first=time, last=time)
        return tally

    def _alert(self, user: str, tally: Tally) -> Alert:
        return Alert(
            rule="many-events",
            severity="medium",
            key={"user_id": user},
            window_start=self.window,
            first_event=tally.first,
            last_event=tally.last,
            count=tally.count,
            events=list(tally.events),
            message=(
                f"{tally.count} events of one user within {self.window_seconds} s, "
                f"more than {self.threshold} allowed"
            ),
        )
