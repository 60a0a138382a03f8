"""Reading the weights of a model, compressed or not, as the arrays that its operations see."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from milpass.encodings import Dense, Encoding
from milpass.errors import ModelError
from milpass.legality import dialect_of
from milpass.paging import release
from milpass.records import Record, Result
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
    return Stored(target, weight).decoded()


def encoding_of(target: Target, weight: Weight) -> Encoding:
    """How a model stores a weight that is compressed; raises `ValueError` for an encoding not known yet."""
    return Stored(target, weight).encoding()


class Stored:
    """A weight as a model stores it; what is read of it is read once, until it is let go of."""

    def __init__(self, target: Target, weight: Weight) -> None:
        self._target = target
        self.weight = weight

    @cached_property
    def record(self) -> Record:
        """The operation that stores it, of one that is compressed."""
        return self._target.record(self.weight)

    @cached_property
    def values(self) -> NDArray[Any]:
        """The values of one that is not."""
        return self.weight.load()

    def encoding(self) -> Encoding:
        """What it is; raises `ValueError` for an encoding not known yet."""
        if not self.weight.encoded:
            return Dense(self.values)
        dialect = dialect_of(self._target, self.weight)
        if dialect is None:
            format = self._target.format
            raise ValueError(f"a constant compressed as {format} has it, which milpass does not read")
        return dialect.read(self.record)

    def decoded(self) -> NDArray[Any]:
        """The values that its readers see; raises `ValueError` for an encoding not known yet."""
        try:
            return self.encoding().decoded()
        except MemoryError:
            raise ModelError(
                f"{self._target.name}, constant {self.weight.label}",
                who="milpass",
                cannot="read its values",
                got=f"too little memory for {self.weight.size:,} of them",
                needs="more of it",
            ) from None

    def let_go(self) -> None:
        """Let go of the pages that were read."""
        read = vars(self)
        if "values" in read:
            release(read.pop("values"))
        if "record" in read:
            for array in stored_arrays(read.pop("record")):
                release(array)


def stored_arrays(record: Record) -> Iterator[NDArray[Any]]:
    """The stored operands of a record and of those that it nests."""
    for operand in record.operands.values():
        if isinstance(operand, Result):
            yield from stored_arrays(operand.record)
        else:
            yield operand.data
