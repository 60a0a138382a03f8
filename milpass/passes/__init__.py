"""Passes decide: one file a pass, and the table of their names."""

from milpass.passes.base import Pass
from milpass.passes.fit_lut import fit_lut
from milpass.passes.replace_const_with_lut import replace_const_with_lut
from milpass.passes.select_weights import select_weights

PASSES: dict[str, type[Pass]] = {
    "select_weights": select_weights,
    "fit_lut": fit_lut,
    "replace_const_with_lut": replace_const_with_lut,
}

__all__ = ["PASSES", "Pass", "fit_lut", "replace_const_with_lut", "select_weights"]
