"""Whether the files that are read stay the same for as long as they are."""

from __future__ import annotations

import os
from pathlib import Path

from attrs import Factory, frozen

from milpass.errors import ModelError

# What tells a file from another, or from itself after it was written to: inode, bytes, time.
Stamp = tuple[int, int, int]


def _stamp(path: Path) -> Stamp | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


@frozen
class InputFiles:
    """The files of a model that have been opened, and what they were before that."""

    _stamps: dict[Path, Stamp | None] = Factory(dict)

    def opening(self, path: Path) -> Path:
        """Take note of a file that is about to be opened."""
        self._stamps.setdefault(path, _stamp(path))
        return path

    def check(self) -> None:
        """Raise `ModelError` where a file is no longer what was opened."""
        for path, stamp in self._stamps.items():
            if _stamp(path) != stamp:
                raise ModelError(
                    str(path),
                    who="milpass",
                    cannot="read it to its end",
                    got="a file that was changed meanwhile",
                    needs="one that stays as it is",
                    remedy="Nothing was written; run it again",
                )
