"""Compiled loops over weights: arrays in, arrays out, no allocation, no policy.

Each file here is Python that Cython compiles in its pure Python mode.  Where no compiler was, the same
files run as they are, about a hundred times slower, if the `cython` package is installed.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from milpass.errors import InstallationError

if TYPE_CHECKING:
    from milpass.kernels import (
        assignment,
        bits,
        boxes,
        cells,
        clustering,
        errors,
        exactly,
        halves,
        histogram,
        intervals,
        lloyd,
        quantization,
        seeding,
        vectors,
    )

    COMPILED: bool

__all__ = [
    "COMPILED",
    "assignment",
    "bits",
    "boxes",
    "cells",
    "clustering",
    "errors",
    "exactly",
    "halves",
    "histogram",
    "intervals",
    "lloyd",
    "quantization",
    "seeding",
    "vectors",
]


def _loaded(name: str) -> ModuleType:
    """A kernel's file, compiled or as it is."""
    try:
        return import_module(f"{__name__}.{name}")
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


def _plain(module: ModuleType) -> Any:
    """An uncompiled kernel, handed views of memory: numpy's own scalars overflow where C's do not."""

    def viewing(function: Callable[..., None]) -> Callable[..., None]:
        def run(*arguments: Any) -> None:
            function(*(memoryview(a) if hasattr(a, "dtype") else a for a in arguments))

        return run

    public = {name: f for name, f in vars(module).items() if callable(f) and not name.startswith("_")}
    return SimpleNamespace(**{name: viewing(function) for name, function in public.items()})


# Every command uses this one: where something is missing, it is said before any work is done.
COMPILED = not str(_loaded("bits").__file__).endswith(".py")

if not COMPILED:
    globals().update({name: _plain(_loaded(name)) for name in __all__ if name != "COMPILED"})


def __getattr__(name: str) -> ModuleType:
    """A compiled kernel that was not used yet."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _loaded(name)
