"""Where a package is written: beside its destination, and moved into place when it is whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from milpass.errors import UsageError
from milpass.targets.mlpackage.layout import MANIFEST


def _refusal(out: Path, got: str, needs: str, remedy: str | None = None) -> UsageError:
    return UsageError(
        str(out), who="milpass", cannot="write the package", got=got, needs=needs, remedy=remedy
    )


def check_destination(out: Path, *, source: Path, overwrite: bool) -> None:
    """Refuse a destination that cannot be written, or must not be, before any work is done."""
    real, origin = Path(os.path.realpath(out)), Path(os.path.realpath(source))
    if real == origin or origin in real.parents or real in origin.parents:
        raise _refusal(out, "the input itself", "another place: the input is never written to")
    if os.path.lexists(out):
        if not overwrite:
            raise _refusal(out, "a destination that exists", "a new one", "Or allow overwriting it")
        if out.is_symlink() or not (out / MANIFEST).is_file():
            raise _refusal(out, "something that is no package", "a package to overwrite")
    parent = out.absolute().parent
    if not parent.is_dir():
        raise _refusal(out, f"no folder {parent}", "an existing folder around it")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise _refusal(out, f"a folder that cannot be written to: {parent}", "a writable one")


@contextmanager
def destination(out: Path, *, source: Path, overwrite: bool) -> Iterator[Path]:
    """A new folder beside `out`, which takes its place at the end, or vanishes after an error."""
    check_destination(out, source=source, overwrite=overwrite)
    token = os.urandom(4).hex()
    folder = out.absolute().with_name(f".{out.name[:40]}.{token}.milpass-partial")
    try:
        folder.mkdir()
        yield folder
        _move_into_place(folder, out.absolute(), token)
    except OSError as error:
        raise _refusal(out, error.strerror or str(error), "room and permission to write") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _move_into_place(folder: Path, out: Path, token: str) -> None:
    """Rename; a package already there is moved aside first, and back if that fails."""
    if not os.path.lexists(out):
        folder.rename(out)
        return
    aside = out.with_name(f".{out.name[:40]}.{token}.milpass-replaced")
    out.rename(aside)
    try:
        folder.rename(out)
    except BaseException:
        aside.rename(out)
        raise
    shutil.rmtree(aside, ignore_errors=True)
