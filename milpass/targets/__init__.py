"""Targets edit: where a model lives, and how to open it."""

from __future__ import annotations

import os
from pathlib import Path

from milpass.targets.base import Edit, Target
from milpass.targets.mlpackage import Package


def open_target(model: str | os.PathLike[str]) -> Target:
    """Open a model by its path; raises `ModelError` where there is none that can be read."""
    return Package(Path(model))


__all__ = ["Edit", "Target", "open_target"]
