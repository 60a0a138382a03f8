"""Installed packages that bring passes, modes and selectors: the entry points `milpass.passes`.

An entry point names a module; loading it runs its code, which registers its words by `@as_pass`, `@lut_mode`
and `@selector`.  The command loads them; in Python one imports the module, or calls `load_plugins`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from milpass.errors import UsageError

GROUP = "milpass.passes"


def load_plugins() -> tuple[str, ...]:
    """Load every entry point, and give their names; raises `UsageError` where one fails."""
    if not any(map(_may_bring_some, sys.path)):
        return ()
    from importlib.metadata import entry_points

    found = sorted(entry_points(group=GROUP), key=lambda each: each.name)
    for each in found:
        try:
            each.load()
        except Exception as error:
            owner = each.dist.name if each.dist else "an unknown package"
            raise UsageError(
                f"{each.name} of {owner}",
                who="milpass",
                cannot="load the entry point",
                got=f"{type(error).__name__}: {error}",
                needs=f"a module that can be imported as {each.value}",
                remedy=f"Mend or remove {owner}",
            ) from error
    return tuple(each.name for each in found)


def _may_bring_some(path: str) -> bool:
    """Whether `importlib.metadata` is worth its import, which takes longer than a look at the files."""
    if os.path.isfile(path):
        return True  # an archive: its files are not ours to read
    section = f"[{GROUP}]".encode()
    return any(section in file.read_bytes() for file in _entry_point_files(path or "."))


def _entry_point_files(folder: str) -> Iterator[Path]:
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        if name.endswith((".dist-info", ".egg-info")):
            file = Path(folder, name, "entry_points.txt")
            if os.access(file, os.R_OK):
                yield file
