"""Targets edit: where a model lives, and how to open it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from milpass.errors import ModelError, UsageError
from milpass.targets.base import Check, Edit, Part, Target
from milpass.targets.mlpackage import LoadedModel, Package, is_loaded_model
from milpass.targets.neuralnetwork import LoadedNetwork, NeuralNetwork, is_loaded_network
from milpass.targets.program import ProgramTarget, is_program


def open_target(model: Any) -> Target:
    """Open a model by its path, a loaded `MLModel`, or a PyMIL `Program`.

    Raises `ModelError` where it cannot be read, `UsageError` for anything else.
    """
    if is_loaded_model(model):
        return LoadedNetwork(model) if is_loaded_network(model) else LoadedModel(model)
    if is_program(model):
        return ProgramTarget(model)
    if not isinstance(model, str | os.PathLike):
        raise UsageError(
            repr(model),
            who="milpass",
            cannot="open it",
            got=type(model).__name__,
            needs="the path of an .mlpackage or .mlmodel, an MLModel, or a Program",
        )
    if "\0" in os.fsdecode(model):
        raise _unreadable(model, "a path with a zero byte", "the path of an .mlpackage or .mlmodel")
    path = Path(os.fsdecode(model))
    try:
        return NeuralNetwork.at(path) if path.is_file() else Package.at(path)
    except OSError as error:
        raise _unreadable(model, error.strerror or str(error), "one that may be read") from None
    except MemoryError:
        raise _unreadable(model, "too little memory for its files", "more of it") from None


def _unreadable(model: str | os.PathLike[str], got: str, needs: str) -> ModelError:
    return ModelError(os.fsdecode(model), who="milpass", cannot="read the model", got=got, needs=needs)


__all__ = ["Check", "Edit", "Part", "Target", "open_target"]
