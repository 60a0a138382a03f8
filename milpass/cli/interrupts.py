"""Ctrl-C and SIGTERM: the run is cleaned up after and left at once, without a traceback."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn, TypeAlias

import click

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """A signal came; not a `KeyboardInterrupt`, which click would answer in its own way."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def interruptible() -> Iterator[None]:
    """Leave at a signal, by way of the clean-up of whatever runs; signals that are ignored stay so."""
    if threading.current_thread() is not threading.main_thread():
        yield  # where Python delivers no signals
        return
    heeded = [number for number in SIGNALS if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    before = {number: signal.signal(number, _interrupt) for number in heeded}
    _WATCHED.clear()
    _HINTS.clear()
    try:
        yield
    except Interrupted as interrupt:
        _leave_at_once(interrupt)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# What tells a folder from the one that takes its place.
Identity: TypeAlias = tuple[int, int] | None
# The destination of the run, and what is there before it; what else an interrupt tells.
_WATCHED: dict[Path, Identity] = {}
_HINTS: list[str] = []


def watch(out: Path, *, resume: bool = False) -> None:
    """Let an interrupt, however late it comes, tell whether this destination has been written by then."""
    _WATCHED[out] = _identity(out)
    _HINTS[:] = ["; with --resume it goes on from the fits that were found"] if resume else []


def _written() -> Path | None:
    """The watched destination, if something new is there."""
    return next((out for out, before in _WATCHED.items() if _identity(out) not in (before, None)), None)


def _identity(out: Path) -> Identity:
    try:
        found = os.stat(out)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _interrupt(number: int, _: FrameType | None) -> NoReturn:
    raise Interrupted(number)


def _leave_at_once(interrupt: Interrupted) -> NoReturn:
    """Leave without waiting for the fits that other threads have begun; nothing is left to clean up."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    verb = "interrupted" if interrupt.number == signal.SIGINT else "terminated"
    written = _written()
    hint = "" if written else "".join(_HINTS)
    with suppress(OSError):  # nobody may be left to read it
        click.echo(f"milpass: {verb}, {written or 'nothing'} was written{hint}", err=True)
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(128 + interrupt.number)
