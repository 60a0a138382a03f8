"""Reading the weights of a model, compressed or not, as the arrays that its operations see."""

from __future__ import annotations

import os
from typing import Any

from numpy.typing import NDArray

from milpass.encodings import Encoding
from milpass.errors import ModelError
from milpass.legality import dialect_of
from milpass.targets import Target, open_target
from milpass.weight import Weight


def read_weights(model: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Every fp16 and fp32 constant of a model by its name, decoded where it is stored compressed.

    In a pipeline of models the place of its model stands before the name, as in "encoder/weight".
    Raises `ModelError` where the model cannot be read, `ValueError` for an encoding not known yet.
    """
    target = open_target(model)
    return {weight.label: decoded(target, weight) for weight in target.weights()}


def decoded(target: Target, weight: Weight) -> NDArray[Any]:
    """The values that a weight's readers see; raises `ValueError` for an encoding not known yet."""
    try:
        return encoding_of(target, weight).decoded() if weight.encoded else weight.load()
    except MemoryError:
        raise ModelError(
            f"{target.name}, constant {weight.label}",
            who="milpass",
            cannot="read its values",
            got=f"too little memory for {weight.size:,} of them",
            needs="more of it",
        ) from None


def encoding_of(target: Target, weight: Weight) -> Encoding:
    """How a model stores a weight that is compressed; raises `ValueError` for an encoding not known yet."""
    dialect = dialect_of(target, weight)
    if dialect is None:
        raise ValueError(f"a constant compressed as {target.format} has it, which milpass does not read")
    return dialect.read(target.record(weight))
