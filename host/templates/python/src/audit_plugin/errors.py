"""What a plugin raises. Messages are shown and stored in the clear: no values of events in them."""


class ConfigError(Exception):
    """A configuration that the plugin refuses: the host does not start, and names the key."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key
        self.message = message


class Fault(Exception):
    """A batch that the plugin cannot judge. The state must be as it was before the batch.

    The kind is `transient`, `bad-input` or `other`.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


class StateError(Exception):
    """A state that the plugin cannot take over: damaged, or not one of its own."""


class UnsupportedVersion(StateError):
    """A state of a version that the plugin does not read."""
