"""What is kept of fits: in a cache that many runs share, and beside a destination for the next run."""

from __future__ import annotations

import logging
import os
from os import PathLike, fsdecode
from pathlib import Path

from attrs import frozen

from milpass.errors import UsageError
from milpass.findings.chains import Chain
from milpass.findings.folder import Folder
from milpass.findings.keys import key_of
from milpass.findings.octets import Damaged, Foreign, from_octets
from milpass.fitting.finding import Finding
from milpass.fitting.fitted import FittedWeight

LOGGER = logging.getLogger("milpass")

# Bytes that a cache takes on the disk.
LIMIT = 1 << 28


def cache_at(place: str | PathLike[str]) -> Folder:
    """The cache in a folder, made where there is none; raises `UsageError` where it cannot be used."""
    folder = Folder(Path(fsdecode(place)), LIMIT)
    try:
        _check_outside(folder.path)
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.check()
    except (OSError, ValueError) as error:
        raise UsageError(
            str(folder.path),
            who="milpass",
            cannot="keep fits in it",
            got=getattr(error, "strerror", None) or str(error),
            needs="a folder that can be written to, or a name for one",
        ) from None
    return folder


def _check_outside(path: Path) -> None:
    """Raise `ValueError` for a folder of a package: an input is never written to."""
    real = Path(os.path.realpath(path))  # `resolve` raises what is no OSError for links in a circle
    if any((each / "Manifest.json").exists() for each in (real, *real.parents)):
        raise ValueError("a folder of a package")


def refused(name: str, got: str, needs: str) -> UsageError:
    """The error for a weight that an executor does not fit; nothing is written then."""
    remedy = "Nothing was written"
    return UsageError(name, who="the executor", cannot="fit it", got=got, needs=needs, remedy=remedy)


def garbled(name: str) -> UsageError:
    """The error for an answer that no search gives."""
    return refused(name, "an answer that is no fit", "what the given function returns, as it is")


def _told(octets: bytes, key: bytes, name: str) -> tuple[Finding, ...]:
    """What others have found, if they have seen what is here."""
    try:
        return from_octets(octets, key)
    except Foreign:
        raise refused(name, "other values in its file", "the file that is read here") from None
    except Damaged:
        raise garbled(name) from None


@frozen(eq=False)
class Kept:
    """The folders of a run, the one that goes with its destination first."""

    resumed: Folder | None = None
    cache: Folder | None = None

    def get(self, key: bytes) -> tuple[Finding, ...] | None:
        """What was found by the fit that has this key, None where nothing is kept of it."""
        folders = (folder for folder in (self.resumed, self.cache) if folder)
        return next((found for folder in folders if (found := folder.get(key)) is not None), None)

    def put(self, key: bytes, findings: tuple[Finding, ...]) -> None:
        """Keep what was found; raises `OSError` where a run could not go on from it.

        A cache that cannot be written any more is no reason to end a run.
        """
        if self.resumed:
            self.resumed.put(key, findings)
        if self.cache:
            try:
                self.cache.put(key, findings)
            except OSError as error:
                LOGGER.warning("%s: a fit could not be kept: %s", self.cache.path, error.strerror)


def fitted(chain: Chain, kept: Kept | None, octets: bytes | None = None) -> FittedWeight:
    """Fit a chain from what others have found (`octets`), or is kept of it; or anew, and keep it.

    Raises what modes raise, and `UsageError` where the others have found it for something else.
    """
    key, name, kept = key_of(chain), chain.composition.weight.label, kept or Kept()
    findings = kept.get(key) if octets is None else _told(octets, key, name)
    again = None if findings is None else chain.fitted_again(findings)
    if again is None:
        again, findings = chain.fitted()
        LOGGER.debug("%s: searched for", name)
        kept.put(key, findings)
    elif octets is None:
        LOGGER.debug("%s: found before", name)
    else:
        LOGGER.debug("%s: found elsewhere", name)
        assert findings is not None
        kept.put(key, findings)
    return again
