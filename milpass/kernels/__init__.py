"""Compiled loops over weights: arrays in, arrays out, no allocation, no policy.

Each file here is Python that Cython compiles in its pure Python mode.  Where no compiler was, the same
files run as they are, about a hundred times slower, if the `cython` package is installed.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

from milpass.errors import InstallationError

try:
    from milpass.kernels import (
        assignment,
        bits,
        boxes,
        cells,
        clustering,
        errors,
        exactly,
        histogram,
        intervals,
        lloyd,
        quantization,
        seeding,
        vectors,
    )
except ModuleNotFoundError as error:
    if error.name != "cython":
        raise
    raise InstallationError(
        "milpass.kernels",
        who="milpass",
        cannot="fit weights",
        got="neither compiled kernels nor the package that runs them uncompiled",
        needs="one of the two",
        remedy="Install a C compiler and reinstall milpass, or `pip install cython`",
    ) from None

COMPILED: bool = not str(clustering.__file__).endswith(".py")


def _plain(module: ModuleType) -> Any:
    """An uncompiled kernel, handed views of memory: numpy's own scalars overflow where C's do not."""

    def viewing(function: Callable[..., None]) -> Callable[..., None]:
        def run(*arguments: Any) -> None:
            function(*(memoryview(a) if hasattr(a, "dtype") else a for a in arguments))

        return run

    public = {name: f for name, f in vars(module).items() if callable(f) and not name.startswith("_")}
    return SimpleNamespace(**{name: viewing(function) for name, function in public.items()})


if not COMPILED:
    assignment, bits, boxes, cells = map(_plain, (assignment, bits, boxes, cells))
    clustering, errors, exactly = map(_plain, (clustering, errors, exactly))
    histogram, intervals, lloyd = map(_plain, (histogram, intervals, lloyd))
    quantization, seeding, vectors = map(_plain, (quantization, seeding, vectors))

__all__ = [
    "COMPILED",
    "assignment",
    "bits",
    "boxes",
    "cells",
    "clustering",
    "errors",
    "exactly",
    "histogram",
    "intervals",
    "lloyd",
    "quantization",
    "seeding",
    "vectors",
]
