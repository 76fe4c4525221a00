"""What a plugin of audit-host is written with: columns, settings, errors, descriptions.

Nothing of it needs the host, so that a rule runs in unit tests as it is; see `testing`.
"""

from .columns import Batch, boolean, float64, int32, int64, timestamp, utf8
from .errors import ConfigError, Fault, StateError, UnsupportedVersion
from .model import Alert, Description, Judgement, Output
from .settings import in_range, settings

__all__ = [
    "Alert",
    "Batch",
    "ConfigError",
    "Description",
    "Fault",
    "Judgement",
    "Output",
    "StateError",
    "UnsupportedVersion",
    "boolean",
    "float64",
    "in_range",
    "int32",
    "int64",
    "settings",
    "timestamp",
    "utf8",
]
