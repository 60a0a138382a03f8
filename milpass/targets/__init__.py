"""Targets edit: where a model lives, and how to open it."""

from __future__ import annotations

import os
from pathlib import Path

from milpass.errors import ModelError
from milpass.targets.base import Edit, Target
from milpass.targets.mlpackage import Package


def open_target(model: str | os.PathLike[str]) -> Target:
    """Open a model by its path; raises `ModelError` where there is none that can be read."""
    try:
        return Package(Path(model))
    except OSError as error:
        raise ModelError(
            str(model),
            who="milpass",
            cannot="read the model",
            got=error.strerror or str(error),
            needs="a package that may be read",
        ) from None


__all__ = ["Edit", "Target", "open_target"]
