"""Command options made from the fields of passes, so that each is described once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from attrs import fields_dict

from milpass.passes import Pass

Command = TypeVar("Command", bound=Callable[..., Any])

MODEL = click.argument("model", type=click.Path(path_type=Path))


def field_option(of: type[Pass], name: str, **changes: Any) -> Callable[[Command], Command]:
    """The option `--name` for a field of a pass: its type, default and help are the field's."""
    field = fields_dict(of)[name]
    settings: dict[str, Any] = {
        "type": field.metadata["option"],
        "default": field.default,
        "show_default": True,
        "help": field.metadata["help"],
    }
    return click.option(f"--{name.replace('_', '-')}", name, **{**settings, **changes})
