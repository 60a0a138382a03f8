"""One writer at a time for each destination."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from milpass.targets.mlpackage.shield import shielded

# Said by file systems that have no locks, some of those that lie on another machine.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP}


class Locked(Exception):
    """Another run holds the lock."""


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold the lock; False where the file system has none.  Raises `Locked`.

    `flock` is the kernel's: it ends with the process that holds it, however that ends, on Linux and macOS
    alike; unlike `lockf` it also keeps two threads of one process apart.
    """
    file = None
    try:
        with shielded():
            file = _opened(path)
        yield file is not None
    finally:
        if file is not None:
            with shielded():
                _release(file, path)


def _release(file: int, path: Path) -> None:
    with suppress(OSError):
        path.unlink()  # before the lock is let go of: whoever has it owns the name
    with suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_UN)  # closing would not do where a child has inherited the file
    os.close(file)


def _opened(path: Path) -> int | None:
    """The locked file, which `path` names; None where there are no locks."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_named(file, path):
                return file
        except BlockingIOError:
            os.close(file)
            raise Locked from None
        except OSError as error:
            os.close(file)
            if error.errno not in _NO_LOCKS:
                raise
            with suppress(OSError):
                path.unlink()
            return None
        # The holder before removed the file after it was opened here: another run may lock a new one.
        os.close(file)


def _is_named(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False
