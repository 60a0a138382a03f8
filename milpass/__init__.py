"""Compression of Core ML models as small composable graph passes."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from milpass.conversion import last_plan
    from milpass.errors import MilpassError, MilpassWarning, ModelError, NothingCompressed, UsageError
    from milpass.fitting.own import lut_mode
    from milpass.granularity import PerBlock, PerChannel, PerGroupedChannel, PerTensor
    from milpass.passes import Pass, as_pass
    from milpass.passes.decompress import decompress
    from milpass.passes.deselect_weights import deselect_weights
    from milpass.passes.fit_affine import fit_affine
    from milpass.passes.fit_cast import fit_cast
    from milpass.passes.fit_lut import fit_lut
    from milpass.passes.fold_batchnorm import fold_batchnorm
    from milpass.passes.prune_weights import prune_weights
    from milpass.passes.replace_const_with_affine import replace_const_with_affine
    from milpass.passes.replace_const_with_cast import replace_const_with_cast
    from milpass.passes.replace_const_with_lut import replace_const_with_lut
    from milpass.passes.replace_const_with_sparse import replace_const_with_sparse
    from milpass.passes.select_weights import select_weights
    from milpass.pipeline import Pipeline, apply, parse
    from milpass.plan import Plan
    from milpass.reading import read_weights
    from milpass.selectors import selector
    from milpass.weight import Weight

__version__ = "0.1.0"

# Public name -> the module it comes from, imported at its first use: the command starts in a blink.
# Beside them the passes, by their own names.
_HOMES: dict[str, str] = {
    "MilpassError": "errors",
    "MilpassWarning": "errors",
    "ModelError": "errors",
    "NothingCompressed": "errors",
    "Pass": "passes",
    "PerBlock": "granularity",
    "PerChannel": "granularity",
    "PerGroupedChannel": "granularity",
    "PerTensor": "granularity",
    "Pipeline": "pipeline",
    "Plan": "plan",
    "UsageError": "errors",
    "Weight": "weight",
    "apply": "pipeline",
    "as_pass": "passes",
    "last_plan": "conversion",
    "lut_mode": "fitting.own",
    "parse": "pipeline",
    "read_weights": "reading",
    "selector": "selectors",
}

__all__ = [
    "MilpassError",
    "MilpassWarning",
    "ModelError",
    "NothingCompressed",
    "Pass",
    "PerBlock",
    "PerChannel",
    "PerGroupedChannel",
    "PerTensor",
    "Pipeline",
    "Plan",
    "UsageError",
    "Weight",
    "apply",
    "as_pass",
    "decompress",
    "deselect_weights",
    "fit_affine",
    "fit_cast",
    "fit_lut",
    "fold_batchnorm",
    "last_plan",
    "lut_mode",
    "parse",
    "prune_weights",
    "read_weights",
    "replace_const_with_affine",
    "replace_const_with_cast",
    "replace_const_with_lut",
    "replace_const_with_sparse",
    "select_weights",
    "selector",
]


def __getattr__(name: str) -> Any:
    home = import_module(f"milpass.{_HOMES.get(name, 'passes')}")
    if name not in _HOMES and name not in home.PASSES:
        raise AttributeError(f"module 'milpass' has no attribute {name!r}")
    globals()[name] = getattr(home, name)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
