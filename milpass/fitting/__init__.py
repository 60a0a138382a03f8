"""How the numbers of an encoding are chosen: a folder for each encoding, in it a file for each mode.

A mode's file has `fit(array, options, legal_nbits)` and says by `NBITS` who chooses the number of bits; it
is imported when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from milpass.fitting.fitted import Mode


def modes(encoding: str) -> tuple[str, ...]:
    """The modes of an encoding: the files of its folder."""
    files = (Path(__file__).parent / encoding).glob("[!_]*.py")
    return tuple(sorted(file.stem for file in files))


def mode_of(encoding: str, mode: str) -> Mode:
    """A mode by its name."""
    found: Mode = import_module(f"milpass.fitting.{encoding}.{mode}")
    return found
