"""Moving a finished folder or file into place, over what is there, so that no moment shows half of it."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

# From Linux' <linux/fs.h>, <fcntl.h> and <asm/unistd.h>, and macOS' <sys/stdio.h>.
_RENAME_EXCHANGE = 2
_RENAME_SWAP = 2
_AT_FDCWD = -100
_RENAMEAT2 = {"x86_64": 316, "aarch64": 276, "riscv64": 276, "armv7l": 382, "ppc64le": 357, "s390x": 347}

_AT_ONCE = 8


def move_into_place(folder: Path, out: Path, aside: Path) -> None:
    """Make `folder` what `out` names; what was there is then at `folder` or `aside`, to be removed.

    A file takes the place of another in one step on every system, and that one is gone.

    Raises `OSError`; then, or when interrupted, what was there is at `out`, or aside.
    """
    if folder.is_file():
        folder.replace(out)
        return
    if os.path.lexists(out):
        if exchange(folder, out):
            return
        out.rename(aside)
    folder.rename(out)


def exchange(first: Path, second: Path) -> bool:
    """Exchange two names in one step of the file system; False where it has none, and nothing is changed."""
    libc = ctypes.CDLL(None)
    names = os.fsencode(first), os.fsencode(second)
    if sys.platform == "darwin":
        return hasattr(libc, "renamex_np") and libc.renamex_np(*names, _RENAME_SWAP) == 0
    arguments = (_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)
    if hasattr(libc, "renameat2"):
        return bool(libc.renameat2(*arguments) == 0)
    number = _RENAMEAT2.get(os.uname().machine)  # a C library from before the call has a wrapper
    return number is not None and bool(libc.syscall(number, *arguments) == 0)


@contextmanager
def syncing(folder: Path) -> Iterator[None]:
    """Bring a folder to the disk while the body reads in it; at the end all of it is there."""
    with ThreadPoolExecutor(1, thread_name_prefix="milpass-sync") as pool:
        done = pool.submit(sync, folder)
        yield
        done.result()


def sync(folder: Path) -> None:
    """Wait until all of a folder is on the disk: else a power loss could leave a name and no content.

    All at the same time, so that a journal writes them together: twice as fast as one after the other.
    """
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="milpass-sync") as pool:
        waiting = []
        for place, _, files in os.walk(folder):
            waiting += [pool.submit(_sync, os.path.join(place, name)) for name in files]
            waiting.append(pool.submit(sync_names, place))
        for done in waiting:
            done.result()


def sync_names(folder: str | Path) -> None:
    """Wait until the names in a folder are on the disk, where the file system can."""
    try:
        _sync(folder)
    except OSError:
        return  # some have no such call for folders


def _sync(path: str | Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
