"""Options that commands share; those of passes are made from the passes' fields, described once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click
from attrs import fields_dict

from milpass.passes import Pass

Command = TypeVar("Command", bound=Callable[..., Any])

MODEL = click.argument("model", type=click.Path(path_type=Path))
MODULES = click.option(
    "--import",
    "modules",
    multiple=True,
    metavar="MODULE",
    help="Import a module first, which runs its code: its passes, modes, selectors, functions may be named.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables (docs/json.md).")


class RunOptions(NamedTuple):
    """How a pipeline is carried out on a model, and what is shown."""

    model: Path
    output: Path | None
    target: str | None
    strict: bool
    overwrite: bool
    dry_run: bool
    threads: int | None
    verify: bool
    cache: Path | None
    resume: bool
    dask: str | None
    everything: bool
    as_json: bool
    quiet: bool


_RUN_OPTIONS = (
    MODEL,
    click.option("-o", "--output", type=click.Path(path_type=Path), help="The package or file to write."),
    click.option("--target", metavar="RELEASE", help="Raise the model to iOS16, iOS17 or iOS18."),
    click.option("--strict", is_flag=True, help="Fail where a name or pattern matches nothing."),
    click.option("--overwrite", is_flag=True, help="Replace what is at the destination."),
    click.option("--dry-run", is_flag=True, help="Say what would be done; read no weight, write nothing."),
    click.option(
        "--threads",
        type=int,
        metavar="N",
        help="Fit N weights at a time; default: one a processor, up to 8.",
    ),
    click.option(
        "--verify/--no-verify",
        default=True,
        help="Read what was written again and compare, before it takes its place; default: yes.",
    ),
    click.option(
        "--cache",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Keep what fits find in a folder, and take from there what was found before.",
    ),
    click.option(
        "--resume",
        is_flag=True,
        help="Keep what fits find beside the output until it is written, and go on from what was kept.",
    ),
    click.option(
        "--dask",
        metavar="ADDRESS",
        help="Let the workers of a dask scheduler search, tcp://HOST:PORT; they must see MODEL by its path.",
    ),
    click.option("--all", "everything", is_flag=True, help="Show a row for every constant."),
    JSON,
    click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors."),
)


def run_options(command: Command) -> Command:
    """Give a command the argument and the options of RunOptions."""
    for option in reversed(_RUN_OPTIONS):
        command = option(command)
    return command


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
