"""What a run keeps beside its destination, by names that the next run knows; and how that tidies up.

`.NAME.TOKEN.milpass-partial` is being written, or being removed: it is worth nothing.
`.NAME.TOKEN.milpass-replaced` is a whole package that was moved aside: it is worth keeping for as long as
nothing is at the destination.  `.NAME.milpass-lock` says that somebody is writing.  `.NAME.milpass-fits` is
what a run that was to be resumed has found so far.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import NamedTuple

from milpass.targets.mlpackage.layout import MANIFEST

PARTIAL, REPLACED, LOCK, FITS = "milpass-partial", "milpass-replaced", "milpass-lock", "milpass-fits"
# Bytes of a destination's name that leave room for the rest where a system allows no more than 143.
LONGEST = 100


def new_token() -> str:
    """What tells the folders of a run from those of others."""
    return os.urandom(4).hex()


class Beside(NamedTuple):
    """The names beside a destination, an absolute path."""

    out: Path

    @property
    def lock(self) -> Path:
        """The file that a writer locks."""
        return self.out.with_name(f"{self._stem}.{LOCK}")

    @property
    def fits(self) -> Path:
        """The folder of what a run has found, for one that goes on from it."""
        return self.out.with_name(f"{self._stem}.{FITS}")

    def forget(self) -> None:
        """Remove what a run has found; what is no folder stays, as opening it might wait for ever."""
        if self.fits.is_dir() and not self.fits.is_symlink():
            shutil.rmtree(self.fits, ignore_errors=True)

    def place(self, token: str, kind: str) -> Path:
        """A folder of a run that has that token."""
        return self.out.with_name(f"{self._stem}.{token}.{kind}")

    def found(self, kind: str, token: str | None = None) -> list[Path]:
        """The folders of a kind: those of one run, or of all."""
        form = re.compile(rf"{re.escape(self._stem)}\.{token or '[0-9a-f]{8}'}\.{kind}")
        names = sorted(filter(form.fullmatch, os.listdir(self.out.parent)))
        return [path for path in map(self.out.with_name, names) if path.is_dir() and not path.is_symlink()]

    @property
    def _stem(self) -> str:
        """The name, hidden; a long one shortened, and told from others by its digest."""
        name = self.out.name
        if len(os.fsencode(name)) <= LONGEST:
            return f".{name}"
        from hashlib import blake2b  # which loads a library of ciphers

        digest = blake2b(os.fsencode(name), digest_size=8).hexdigest()
        return f".{name[: LONGEST // 4]}.{digest}"  # a character has at most four bytes

    def restore(self, token: str | None = None) -> None:
        """Put a package that was moved aside back, where nothing has taken its place."""
        for aside in self.found(REPLACED, token):
            if not os.path.lexists(self.out) and (aside / MANIFEST).is_file():
                aside.rename(self.out)

    def remove(self, token: str | None = None) -> None:
        """Remove what is worth nothing: of one run, or of all, where the caller knows that none lives."""
        if os.path.lexists(self.out):
            for aside in self.found(REPLACED, token):
                # Half removed it must not look like something to restore.
                discarded = self.place(new_token(), PARTIAL)
                aside.rename(discarded)
                shutil.rmtree(discarded, ignore_errors=True)
        for folder in self.found(PARTIAL, token):
            shutil.rmtree(folder, ignore_errors=True)
