"""The `milpass` command: one file a subcommand."""

from __future__ import annotations

import io
import signal
import sys
from typing import Any

import click

from milpass.cli.apply import apply
from milpass.cli.completion import completion
from milpass.cli.inspect import inspect
from milpass.cli.interrupts import Interrupted, interruptible
from milpass.cli.palettize import palettize
from milpass.cli.passes import passes
from milpass.cli.quantize import quantize
from milpass.errors import EXIT_CODES, MilpassError


class _Group(click.Group):
    """Turns what milpass raises into one line and an exit code."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command; a signal ends it, whatever it is doing."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # names may be of any script
        with interruptible():
            return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a subcommand; a traceback would be a defect of milpass."""
        try:
            return super().invoke(ctx)
        except MilpassError as error:
            click.echo(f"milpass: {error}", err=True)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            raise Interrupted(signal.SIGINT) from None


HELP = """Compress Core ML models.

\b
Exit codes:
""" + "\n".join(f"  {code:<5}{meaning}" for code, meaning in EXIT_CODES.items())


@click.group(cls=_Group, help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="milpass")
def main() -> None:
    """Compress Core ML models."""


for command in (palettize, quantize, apply, inspect, passes, completion):
    main.add_command(command)
