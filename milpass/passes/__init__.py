"""Passes decide: one file a pass, which has the pass' name; PASSES lists them all."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from milpass.passes.base import Pass

if TYPE_CHECKING:
    from milpass.passes.deselect_weights import deselect_weights
    from milpass.passes.fit_lut import fit_lut
    from milpass.passes.replace_const_with_lut import replace_const_with_lut
    from milpass.passes.select_weights import select_weights

PASSES: dict[str, type[Pass]] = {
    file.stem: getattr(import_module(f"{__name__}.{file.stem}"), file.stem)
    for file in sorted(Path(__file__).parent.glob("[!_]*.py"))
    if file.stem != "base"
}

__all__ = [
    "PASSES",
    "Pass",
    "deselect_weights",
    "fit_lut",
    "replace_const_with_lut",
    "select_weights",
]

globals().update(PASSES)
