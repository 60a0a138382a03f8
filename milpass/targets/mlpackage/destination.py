"""Where a model is written: beside its destination, and moved into place when it is whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from milpass.errors import NothingCompressed, UsageError
from milpass.targets.mlpackage.layout import MANIFEST
from milpass.targets.mlpackage.leftovers import PARTIAL, REPLACED, Beside, new_token
from milpass.targets.mlpackage.lock import Locked, locked
from milpass.targets.mlpackage.moving import move_into_place, sync_names
from milpass.targets.mlpackage.shield import shielded

TEMPORARY = "milpass-"


class Kind(NamedTuple):
    """What is written: how it is called, what may be overwritten, and where it stands in a run's folder."""

    name: str
    is_one: Callable[[Path], bool]
    place: str = ""


PACKAGE = Kind("package", lambda path: (path / MANIFEST).is_file())
FILE = Kind("file", Path.is_file, "model.mlmodel")


def temporary_destination() -> Path:
    """A new name in the system's folder of temporary files."""
    return _temporary_folder() / f"{TEMPORARY}{os.urandom(8).hex()}.mlpackage"


def is_temporary(out: Path) -> bool:
    """Whether a destination is one that nobody asked for by name."""
    return out.name.startswith(TEMPORARY) and out.parent == _temporary_folder()


def _temporary_folder() -> Path:
    from tempfile import gettempdir  # few runs need it, and it brings much with it

    return Path(gettempdir())


def _refusal(out: Path, got: str, needs: str, remedy: str | None = None) -> UsageError:
    return UsageError(str(out), who="milpass", cannot="write the model", got=got, needs=needs, remedy=remedy)


def check_destination(out: Path, *, source: Path | None, overwrite: bool, kind: Kind = PACKAGE) -> None:
    """Refuse a destination that cannot be written, or must not be, before any work is done."""
    if "\0" in str(out):
        raise _refusal(out, "a path with a zero byte", "one that the system can have")
    real, origin = Path(os.path.realpath(out)), source and Path(os.path.realpath(source))
    if origin and (real == origin or origin in real.parents or real in origin.parents):
        got = "a folder around the input" if real in origin.parents else "the input itself"
        raise _refusal(out, got, "another place: the input is never written to")
    if any(each.suffix == ".mlpackage" and PACKAGE.is_one(each) for each in real.parents):
        raise _refusal(out, "a place inside a package", "one outside: nothing else belongs there")
    check_vacant(out, overwrite=overwrite, kind=kind)
    parent = out.absolute().parent
    if not parent.is_dir():
        raise _refusal(out, f"no folder {parent}", "an existing folder around it")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise _refusal(out, f"a folder that cannot be written to: {parent}", "a writable one")


def check_vacant(out: Path, *, overwrite: bool, kind: Kind = PACKAGE) -> None:
    """Refuse a destination where something is that must stay."""
    if os.path.lexists(out):
        if not overwrite:
            raise _refusal(out, "a destination that exists", "a new one", "Or allow overwriting it")
        if out.is_symlink() or not kind.is_one(out):
            raise _refusal(out, f"something that is no {kind.name}", f"a {kind.name} to overwrite")


@contextmanager
def destination(
    out: Path, *, source: Path | None, overwrite: bool, resume: bool = False, kind: Kind = PACKAGE
) -> Iterator[tuple[Path, Path | None]]:
    """A new folder beside `out`, or a place in it for a file, which is moved to `out` at the end.

    After an error it vanishes.  A process that is killed leaves folders that the next run for the same
    destination finds and removes; it first puts back what was moved aside.  The body brings to the disk what
    a power loss must not take.
    With `resume` it gives the place, too, of a folder that only goes when the model is there; one that was
    left is removed by a run without it.
    """
    check_destination(out, source=source, overwrite=overwrite, kind=kind)
    beside, token = Beside(out.absolute()), new_token()
    try:
        with locked(beside.lock) as alone:
            beside.restore()
            check_vacant(out, overwrite=overwrite, kind=kind)
            if alone:
                beside.remove()
            if alone and not resume:
                beside.forget()
            with _partial(beside, token) as folder:
                yield folder / kind.place, beside.fits if resume else None
                with shielded():
                    check_vacant(out, overwrite=overwrite, kind=kind)  # it may have come to be meanwhile
                    move_into_place(folder / kind.place, beside.out, beside.place(token, REPLACED))
                    sync_names(beside.out.parent)
                    if resume:
                        beside.forget()
    except NothingCompressed:
        beside.forget()  # there is nothing that another run could go on with
        raise
    except Locked:
        remedy = "Wait until it has ended, or name another destination"
        raise _refusal(out, "one that another run is writing", "it for itself", remedy) from None
    except OSError as error:
        place = beside.fits if error.filename is not None and Path(error.filename) == beside.fits else out
        raise _refusal(place, error.strerror or str(error), "room and permission to write") from error


@contextmanager
def _partial(beside: Beside, token: str) -> Iterator[Path]:
    """The folder of a run; in the end nothing of the run is left beside the destination."""
    folder = beside.place(token, PARTIAL)
    try:
        folder.mkdir()
        yield folder
    finally:
        with shielded(), suppress(OSError):
            beside.restore(token)
            beside.remove(token)
