"""Targets edit: where a model lives, and how to open it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from milpass.errors import ModelError, UsageError
from milpass.targets.base import Check, Edit, Part, Target


def open_target(model: Any) -> Target:
    """Open a model by its path, a loaded `MLModel`, or a PyMIL `Program`.

    Raises `ModelError` where it cannot be read, `UsageError` for anything else.
    """
    if "coremltools" in sys.modules and (opened := _in_memory(model)):
        return opened
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
    try:
        return _at(Path(os.fsdecode(model)))
    except OSError as error:
        raise _unreadable(model, error.strerror or str(error), "one that may be read") from None
    except MemoryError:
        raise _unreadable(model, "too little memory for its files", "more of it") from None


def _in_memory(model: Any) -> Target | None:
    """What coremltools holds, opened; None for anything else.  Each container is loaded when one is met."""
    from milpass.targets.mlpackage.loaded import LoadedModel, is_loaded_model
    from milpass.targets.neuralnetwork.loaded import LoadedNetwork, is_loaded_network
    from milpass.targets.program.target import ProgramTarget, is_program

    if is_loaded_model(model):
        return LoadedNetwork(model) if is_loaded_network(model) else LoadedModel(model)
    return ProgramTarget(model) if is_program(model) else None


def _at(path: Path) -> Target:
    if path.is_file():
        from milpass.targets.neuralnetwork.model import NeuralNetwork

        return NeuralNetwork.at(path)
    from milpass.targets.mlpackage.package import Package

    return Package.at(path)


def _unreadable(model: str | os.PathLike[str], got: str, needs: str) -> ModelError:
    return ModelError(os.fsdecode(model), who="milpass", cannot="read the model", got=got, needs=needs)


__all__ = ["Check", "Edit", "Part", "Target", "open_target"]
