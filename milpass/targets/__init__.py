"""Targets edit: where a model lives, and how to open it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from milpass.errors import ModelError, UsageError
from milpass.targets.base import Check, Edit, Target
from milpass.targets.mlpackage import LoadedModel, Package, is_loaded_model
from milpass.targets.program import ProgramTarget, is_program


def open_target(model: Any) -> Target:
    """Open a model by its path, a loaded `MLModel`, or a PyMIL `Program`.

    Raises `ModelError` where it cannot be read, `UsageError` for anything else.
    """
    if is_loaded_model(model):
        return LoadedModel(model)
    if is_program(model):
        return ProgramTarget(model)
    if not isinstance(model, str | os.PathLike):
        raise UsageError(
            repr(model),
            who="milpass",
            cannot="open it",
            got=type(model).__name__,
            needs="the path of an .mlpackage, an MLModel, or a Program",
        )
    try:
        return Package.at(Path(model))
    except OSError as error:
        raise ModelError(
            str(model),
            who="milpass",
            cannot="read the model",
            got=error.strerror or str(error),
            needs="a package that may be read",
        ) from None


__all__ = ["Check", "Edit", "Target", "open_target"]
