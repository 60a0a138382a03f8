"""What a model holds, weight by weight."""

from __future__ import annotations

import os

from attrs import frozen

from milpass.fitting.tables.patterns import distinct_patterns
from milpass.reading import decoded
from milpass.targets import Target, open_target
from milpass.weight import Weight


@frozen
class Inspected:
    """A weight, the bytes it takes in the file, and its distinct bit patterns (None if not readable).

    A model in a pipeline of models that is not looked into is one, too, of no bytes.
    """

    weight: Weight
    nbytes: int
    distinct: int | None


def inspect_weights(model: str | os.PathLike[str]) -> tuple[Inspected, ...]:
    """Read every floating-point constant of a model; raises `ModelError` where it cannot be read."""
    target = open_target(model)
    closed = tuple(Inspected(weight, 0, None) for weight in target.closed())
    return tuple(_inspected(target, weight) for weight in target.weights()) + closed


def _inspected(target: Target, weight: Weight) -> Inspected:
    nbytes = target.record(weight).nbytes if weight.encoded else weight.nbytes
    try:
        array = decoded(target, weight)
    except ValueError:
        return Inspected(weight, nbytes, None)
    patterns = distinct_patterns(array)
    assert patterns is not None
    return Inspected(weight, nbytes, patterns.size)
