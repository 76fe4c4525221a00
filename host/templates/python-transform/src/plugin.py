"""Masks a column of text: the first characters stay, `***` stands for the rest."""

from typing import Any

from audit_plugin import Batch, Description, Judgement, Output, in_range, settings, utf8

MASK = "***"


class Plugin:
    """The plugin as it was configured."""

    DESCRIPTION = Description(
        name="{{name}}",
        kind="transform",
        config_schema={
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "column": {"type": "string", "default": "user_email"},
                "keep": {"type": "integer", "minimum": 0, "maximum": 16, "default": 1},
            },
        },
    )

    def __init__(self, config: dict[str, Any], host: Any) -> None:
        checked = settings(config, {"column": "user_email", "keep": 1})
        self.column: str = checked["column"]
        self.keep: int = checked["keep"]
        in_range("keep", self.keep, 0, 16)
        #: The columns that `process` needs.
        self.reads = [self.column]
        #: The columns that `process` returns.
        self.writes = [Output(self.column)]

    def process(self, batch: Batch, context: Any) -> Judgement:
        """Judges one batch: a pure function of it."""
        keep = self.keep
        masked = (
            None if value is None else value[:keep] + MASK for value in batch.text(self.column)
        )
        return Judgement(columns={self.column: utf8(masked)})
