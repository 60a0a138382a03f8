"""Compression of Core ML models as small composable graph passes."""

from milpass.errors import MilpassError, ModelError, NothingCompressed, UsageError
from milpass.granularity import PerTensor
from milpass.passes import fit_lut, replace_const_with_lut, select_weights
from milpass.pipeline import Pipeline, apply, parse
from milpass.plan import Plan
from milpass.reading import read_weights
from milpass.weight import Weight

__version__ = "0.1.0"

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
