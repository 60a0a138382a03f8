"""Compression of Core ML models as small composable graph passes."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from milpass.errors import MilpassError, ModelError, NothingCompressed, UsageError
    from milpass.granularity import PerTensor
    from milpass.passes.fit_lut import fit_lut
    from milpass.passes.replace_const_with_lut import replace_const_with_lut
    from milpass.passes.select_weights import select_weights
    from milpass.pipeline import Pipeline, apply, parse
    from milpass.plan import Plan
    from milpass.reading import read_weights
    from milpass.weight import Weight

__version__ = "0.1.0"

# Public name -> the module it comes from, imported at its first use: the command starts in a blink.
_HOMES: dict[str, str] = {
    "MilpassError": "errors",
    "ModelError": "errors",
    "NothingCompressed": "errors",
    "PerTensor": "granularity",
    "Pipeline": "pipeline",
    "Plan": "plan",
    "UsageError": "errors",
    "Weight": "weight",
    "apply": "pipeline",
    "fit_lut": "passes",
    "parse": "pipeline",
    "read_weights": "reading",
    "replace_const_with_lut": "passes",
    "select_weights": "passes",
}

__all__ = [
    "MilpassError",
    "ModelError",
    "NothingCompressed",
    "PerTensor",
    "Pipeline",
    "Plan",
    "UsageError",
    "Weight",
    "apply",
    "fit_lut",
    "parse",
    "read_weights",
    "replace_const_with_lut",
    "select_weights",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'milpass' has no attribute {name!r}")
    value = getattr(import_module(f"milpass.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
