"""A folder of findings, a file each, that several processes may use at the same time.

A file appears whole by being renamed, so no lock is needed; one that is damaged, foreign or no file at all is
as good as none.  With a limit, those go that were not used for longest.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from threading import Lock
from time import time

from attrs import define, field

from milpass.findings.octets import DIGEST, Damaged, from_octets, to_octets
from milpass.fitting.finding import Finding

SUFFIX, UNFINISHED = ".milpass-fit", ".milpass-unfinished"
# What a file takes on a disk, at least.
BLOCK = 1 << 12
# Of the limit: to what files are removed, what one file may have, and after what a look is taken at others'.
KEPT, LARGEST, UNSEEN = 0.9, 0.125, 0.0625
# Bytes of a file from which on it is none of ours.
ABSURD = 1 << 30
# Seconds after which a file that was not finished is taken for one of a process that was killed.
ABANDONED = 3600.0


@define(eq=False)
class Folder:
    """The folder; `limit` in bytes, None for one that does not grow for ever.

    So many processes at a time, and a sixteenth of the limit for each, may go beyond it for a while.
    """

    path: Path
    limit: int | None = None
    _left: float = field(default=0, init=False)
    _lock: Lock = field(factory=Lock, init=False)

    def check(self) -> None:
        """Raise `OSError` where nothing can be written to it, whatever its permissions say."""
        unfinished = self._unfinished()
        unfinished.touch()
        unfinished.unlink()

    def get(self, key: bytes) -> tuple[Finding, ...] | None:
        """What was found by the fit that has this key, None where nothing is kept of it."""
        path = self._file(key)
        try:
            found = from_octets(_read(path), key)
            os.utime(path)  # the time of its last use
        except (OSError, Damaged):
            return None
        return found

    def put(self, key: bytes, findings: tuple[Finding, ...]) -> None:
        """Keep what was found; raises `OSError` where the folder cannot be written."""
        octets = to_octets(key, findings)
        if self.limit is not None and _taken(len(octets)) > LARGEST * self.limit:
            return
        self.path.mkdir(exist_ok=True)
        unfinished = self._unfinished()
        try:
            unfinished.write_bytes(octets)
            unfinished.replace(self._file(key))
        except BaseException:
            with suppress(OSError):
                unfinished.unlink()
            raise
        with self._lock:
            self._bound(_taken(len(octets)))

    def _file(self, key: bytes) -> Path:
        return self.path / f"{key.hex()}{SUFFIX}"

    def _unfinished(self) -> Path:
        return self.path / f"{os.urandom(8).hex()}{UNFINISHED}"

    def _bound(self, added: int) -> None:
        """Remove files where there are too many; now and then all are counted, others' among them."""
        self._left -= added
        if self.limit is None or self._left >= 0:
            return
        files = sorted(self._files())
        used = sum(size for _, size, _ in files)
        bound = KEPT * self.limit if used > self.limit else self.limit
        for _, size, path in files:
            if used <= bound:
                break
            with suppress(OSError):
                os.unlink(path)
            used -= size
        self._left = min(self.limit - used, UNSEEN * self.limit)

    def _files(self) -> list[tuple[int, int, str]]:
        """When each file was last used, in ns, the bytes that it takes, its path; abandoned ones go."""
        found = []
        with os.scandir(self.path) as entries:
            for entry in entries:
                with suppress(OSError):
                    told = entry.stat(follow_symlinks=False)
                    if entry.name.endswith(UNFINISHED) and told.st_mtime < time() - ABANDONED:
                        os.unlink(entry.path)
                    elif _is_ours(entry.name) and stat.S_ISREG(told.st_mode):
                        found.append((told.st_mtime_ns, _taken(told.st_size), entry.path))
        return found


def _is_ours(name: str) -> bool:
    return len(name) == 2 * DIGEST + len(SUFFIX) and name.endswith(SUFFIX)


def _taken(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _read(path: Path) -> bytes:
    """A file's bytes; raises `OSError` for one that is huge, or none, which reading might wait for."""
    opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(opened, "rb") as file:
        told = os.fstat(opened)
        if not stat.S_ISREG(told.st_mode) or told.st_size > ABSURD:
            raise OSError("no file of findings")
        return file.read()
