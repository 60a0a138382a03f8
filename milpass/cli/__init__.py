"""The `milpass` command: one file a subcommand."""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

import click

from milpass.cli.apply import apply
from milpass.cli.completion import completion
from milpass.cli.inspect import inspect
from milpass.cli.palettize import palettize
from milpass.cli.passes import passes
from milpass.errors import EXIT_CODES, MilpassError


class _Group(click.Group):
    """Turns what milpass raises into one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a subcommand; a traceback would be a defect of milpass."""
        try:
            return super().invoke(ctx)
        except MilpassError as error:
            _leave(str(error), error.exit_code)
        except KeyboardInterrupt:
            _leave_at_once("interrupted, nothing was written", 130)


def _leave(message: str, code: int) -> NoReturn:
    click.echo(f"milpass: {message}", err=True)
    sys.exit(code)


def _leave_at_once(message: str, code: int) -> NoReturn:
    """Leave without waiting for the fits that other threads have begun; nothing is left to clean up."""
    click.echo(f"milpass: {message}", err=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


HELP = """Compress Core ML models.

\b
Exit codes:
""" + "\n".join(f"  {code:<5}{meaning}" for code, meaning in EXIT_CODES.items())


@click.group(cls=_Group, help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="milpass")
def main() -> None:
    """Compress Core ML models."""


for command in (palettize, apply, inspect, passes, completion):
    main.add_command(command)
