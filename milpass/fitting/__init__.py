"""How the numbers of an encoding are chosen: a folder for each encoding, in it a file for each mode.

A mode's file has `fit(array, options, terms)` and says by `NBITS` who chooses the number of bits; it
is imported when it is first asked for.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from milpass.fitting.fitted import Mode


# A user's own modes, by `@lut_mode`: encoding and name -> mode.
OWN: dict[tuple[str, str], Mode] = {}


def modes(encoding: str) -> tuple[str, ...]:
    """The modes of an encoding: the files of its folder, and a user's own."""
    own = (name for owner, name in OWN if owner == encoding)
    return tuple(sorted([*_files(encoding), *own]))


@cache
def _files(encoding: str) -> tuple[str, ...]:
    return tuple(file.stem for file in (Path(__file__).parent / encoding).glob("[!_]*.py"))


def mode_of(encoding: str, mode: str) -> Mode:
    """A mode by its name."""
    if (encoding, mode) in OWN:
        return OWN[encoding, mode]
    found: Mode = import_module(f"milpass.fitting.{encoding}.{mode}")
    return found
