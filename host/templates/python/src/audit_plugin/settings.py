"""The configuration of a plugin, checked."""

from typing import Any

from .errors import ConfigError


def settings(config: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """The user's settings over the defaults.

    Keys that have no default are refused, so that a mistyped key stops the host instead of being
    ignored, and so is a value of another type than its default.
    """
    for key, value in config.items():
        if key not in defaults:
            raise ConfigError(key, f"unknown key; available: {', '.join(defaults)}")
        if type(value) is not type(defaults[key]):
            wanted = type(defaults[key]).__name__
            raise ConfigError(key, f"a {type(value).__name__} where a {wanted} is expected")
    return {**defaults, **config}


def in_range(key: str, value: int, least: int, most: int) -> None:
    """Refuses a setting outside a range."""
    if not least <= value <= most:
        raise ConfigError(key, f"not a whole number from {least} to {most}")
