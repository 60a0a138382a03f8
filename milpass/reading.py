"""Reading the weights of a model, compressed or not, as the arrays that its operations see."""

from __future__ import annotations

import os
from typing import Any

from numpy.typing import NDArray

from milpass.legality import dialect_of
from milpass.targets import Target, open_target
from milpass.weight import Weight


def read_weights(model: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Every fp16 and fp32 constant of a model by its name, decoded where it is stored compressed.

    Raises `ModelError` where the model cannot be read, `ValueError` for an encoding not known yet.
    """
    target = open_target(model)
    return {weight.name: decoded(target, weight) for weight in target.weights()}


def decoded(target: Target, weight: Weight) -> NDArray[Any]:
    """The values that a weight's readers see; raises `ValueError` for an encoding not known yet."""
    if not weight.encoded:
        return weight.load()
    dialect = dialect_of(target)
    if dialect is None:
        raise ValueError(f"{weight.name}: milpass reads no compressed constants of {target.format}")
    return dialect.read(target.record(weight)).decode()
