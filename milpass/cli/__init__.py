"""The `milpass` command: one file a subcommand."""

from __future__ import annotations

import io
import signal
import sys
from typing import Any

import click

from milpass.cli.interrupts import Interrupted, interruptible
from milpass.errors import EXIT_CODES, MilpassError
from milpass.on_demand import OnDemand

_FILES = ("apply", "completion", "inspect", "palettize", "passes", "quantize")
COMMANDS: OnDemand[click.Command] = OnDemand(__name__, dict(zip(_FILES, _FILES, strict=True)))


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


@click.group(
    cls=_Group, commands=COMMANDS, help=HELP, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="milpass")
def main() -> None:
    """Compress Core ML models."""
