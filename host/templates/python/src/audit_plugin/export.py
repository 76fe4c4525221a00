"""The glue between a plugin's class and the exports of the component.

It runs in the host only: `wit_world` is made by componentize-py out of `wit/`.
"""

import inspect
import json
import re
import sys
from typing import Any

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import lifecycle, state
from wit_world.imports import crypto, log, types

from .columns import Batch, Column
from .errors import ConfigError, Fault, StateError, UnsupportedVersion
from .model import Alert, Judgement

_VALUES = {
    "int32": types.ColumnValues_Int32,
    "int64": types.ColumnValues_Int64,
    "float64": types.ColumnValues_Float64,
    "boolean": types.ColumnValues_Boolean,
    "timestamp-us": types.ColumnValues_TimestampUs,
}
_TYPES = {kind: name for name, kind in _VALUES.items()}
_FAULTS = {
    "transient": types.Fault_Transient,
    "bad-input": types.Fault_BadInput,
    "other": types.Fault_Other,
}


#: The folder of the sources within the component, which is `src` in the project.
_MOUNTED = re.compile(r"^/\d+/")


class _Host:
    """What a plugin may ask of the host. Tests give it an object with the same functions."""

    def log(self, level: str, message: str) -> None:
        """Writes a line; the level is debug, info, warn or error."""
        log.write(log.Level[level.upper()], message)

    def has_key(self, name: str) -> bool:
        """Whether the user granted the key of that name."""
        return crypto.has_key(name)

    def keyed_hash(self, key: str, column: Column) -> bytes:
        """HMAC-SHA-256 of a column of text under a key that stays in the host: 32 bytes a value."""
        return crypto.keyed_hash(key, types.Utf8Values(column.offsets, column.values))


class _Log:
    """There is no terminal here: what is printed goes to the host's log, line by line."""

    def __init__(self, level: log.Level) -> None:
        self._level = level

    def write(self, text: str) -> int:
        for line in filter(None, text.splitlines()):
            log.write(self._level, line)
        return len(text)

    def flush(self) -> None:
        """Nothing is kept back."""


def export_plugin(plugin_class: type) -> tuple[type, type, type]:
    """What the world of `wit/` asks for, answered by a class as plugin.py has it."""
    # An instance of a component runs one plugin on one thread.
    configured: list[Any] = []

    def plugin() -> Any:
        if not configured:
            raise Fault("other", "a call before configure")
        return configured[0]

    class Lifecycle(exports.Lifecycle):
        def describe(self) -> lifecycle.Description:
            return _description(plugin_class.DESCRIPTION)

        def configure(self, config: str) -> lifecycle.Binding:
            sys.stdout, sys.stderr = _Log(log.Level.INFO), _Log(log.Level.WARN)
            try:
                configured[:] = [plugin_class(_parse(config), _Host())]
                return _binding(plugin())
            except ConfigError as error:
                raise Err(lifecycle.ConfigError(error.key, error.message)) from None
            except Exception as error:
                raise Err(lifecycle.ConfigError("config", _place(error))) from None

    class Judge(exports.Judge):
        def process(self, context: types.Context, batch: types.Batch) -> types.Judgement:
            try:
                columns = {column.name: _read(column) for column in batch.columns}
                return _judgement(plugin().process(Batch(batch.rows, columns), context))
            except Fault as error:
                raise Err(_FAULTS[error.kind](error.message)) from None
            except Exception as error:
                raise Err(types.Fault_Other(_place(error))) from None

    class State(exports.State):
        def snapshot(self) -> bytes:
            if not configured or not hasattr(plugin_class, "snapshot"):
                return b""
            try:
                # Sorted, so that equal states give equal bytes.
                return json.dumps(plugin().snapshot(), sort_keys=True, separators=(",", ":")).encode()
            except Exception as error:
                # There is no error to report: it becomes a trap, and the log says where.
                log.write(log.Level.ERROR, f"snapshot: {_place(error)}")
                raise

        def restore(self, version: int, bytes: bytes) -> None:
            try:
                _restore(plugin(), version, bytes)
            except UnsupportedVersion:
                raise Err(state.RestoreError_UnsupportedVersion()) from None
            except StateError as error:
                raise Err(state.RestoreError_Corrupt(str(error))) from None
            except Exception as error:
                raise Err(state.RestoreError_Corrupt(_place(error))) from None

    return Lifecycle, Judge, State


def _restore(plugin: Any, version: int, state_bytes: bytes) -> None:
    if not hasattr(plugin, "restore"):
        if state_bytes:
            raise StateError("a plugin without state was given one")
        return
    # A `restore` that does not ask for the version knows only one.
    if len(inspect.signature(plugin.restore).parameters) < 2:
        if version != plugin.DESCRIPTION.state_version:
            raise UnsupportedVersion()
        plugin.restore(json.loads(state_bytes))
    else:
        plugin.restore(json.loads(state_bytes), version)


def _parse(config: str) -> dict[str, Any]:
    try:
        parsed = json.loads(config)
    except ValueError:
        raise ConfigError("config", "not JSON") from None
    if not isinstance(parsed, dict):
        raise ConfigError("config", "a configuration is an object")
    return parsed


def _description(description: Any) -> lifecycle.Description:
    return lifecycle.Description(
        name=description.name,
        version=description.version,
        kind=lifecycle.Kind[description.kind.upper()],
        config_schema=json.dumps(description.config_schema),
        key_columns=list(description.key_columns),
        state_version=description.state_version,
    )


def _binding(plugin: Any) -> lifecycle.Binding:
    writes = [
        lifecycle.OutputColumn(
            output.name,
            types.ColumnType[output.type.upper().replace("-", "_")],
            output.preserves_equality,
        )
        for output in getattr(plugin, "writes", ())
    ]
    return lifecycle.Binding(list(plugin.reads), writes)


def _read(column: types.Column) -> Column:
    values = column.values
    if isinstance(values, types.ColumnValues_Utf8):
        texts = values.value
        return Column("utf8", texts.values, texts.offsets, column.validity)
    return Column(_TYPES[type(values)], values.value, None, column.validity)


def _write(name: str, column: Column) -> types.Column:
    if column.type == "utf8":
        values = types.ColumnValues_Utf8(types.Utf8Values(column.offsets, column.values))
    else:
        values = _VALUES[column.type](column.values)
    return types.Column(name, column.validity, values)


def _judgement(judgement: Judgement) -> types.Judgement:
    return types.Judgement(
        columns=[_write(name, column) for name, column in judgement.columns.items()],
        quarantined=[types.Quarantined(row, reason) for row, reason in judgement.quarantined],
        alerts=[_alert(alert) for alert in judgement.alerts],
    )


def _alert(alert: Alert) -> types.Alert:
    return types.Alert(
        rule=alert.rule,
        severity=types.Severity[alert.severity.upper()],
        key=_fields(alert.key),
        window_start=alert.window_start,
        first_event=alert.first_event,
        last_event=alert.last_event,
        count=alert.count,
        events=[types.Position(partition, offset) for partition, offset in alert.events],
        message=alert.message,
        labels=_fields(alert.labels),
    )


def _fields(pairs: dict[str, str]) -> list[types.Field]:
    return [types.Field(name, str(value)) for name, value in pairs.items()]


def _place(error: BaseException) -> str:
    """The kind of an error and where it came from, without its message: that may hold values."""
    places = []
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        file = _MOUNTED.sub("src/", code.co_filename)
        places.append(f"{file}:{step.tb_lineno} in {code.co_name}")
        step = step.tb_next
    return f"{type(error).__name__} at {' < '.join(reversed(places[-4:]))}"
