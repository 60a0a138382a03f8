"""How the numbers of an encoding are chosen: one file a mode, each with `fit(array, options)`.

MODES is the table by which passes name them; a mode's file is imported when a weight is to be fitted.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from milpass.fitting.fitted import FitFunction

MODES: dict[str, str] = {
    "kmeans": "milpass.fitting.kmeans",
    "uniform": "milpass.fitting.uniform",
}


def fit_function(mode: str) -> FitFunction:
    """The fit of a mode of MODES."""
    found: FitFunction = import_module(MODES[mode]).fit
    return found
