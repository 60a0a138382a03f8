"""Palettization: which table is to be fitted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from attrs import field, frozen

from milpass.fitting import modes
from milpass.granularity import Granularity, PerTensor
from milpass.passes._kinds import FittingPass
from milpass.passes._lut_fields import (
    check_dim,
    check_function,
    check_groups,
    check_importance,
    check_inside,
    check_mode,
    check_nbits,
    check_scale,
)
from milpass.passes.base import described
from milpass.weight import Weight


@frozen(repr=False)
class fit_lut(FittingPass):
    """Fit a look-up table (palette) of 2**nbits entries to each selected weight, or to each group of it.

    The table has the weight's dtype.  But for mode "custom", entries ascend and an element gets its nearest
    entry, of two equally near the lower.
    """

    mode: str = field(
        default="kmeans",
        validator=check_mode,
        metadata=described(f"How the table is chosen: {', '.join(modes('lut'))}.", option=str, shown=True),
    )
    nbits: int | None = field(
        default=None,
        validator=check_nbits,
        metadata=described("Bits an index; the table has 2**nbits entries.", option=int, shown=True),
    )
    granularity: Granularity = field(
        default=PerTensor(),
        validator=check_groups,
        metadata=described("Who shares a table: PerTensor(), PerChannel(), ..."),
    )
    cluster_dim: int = field(
        default=1,
        validator=check_dim,
        metadata=described(
            "Elements that one index stands for, neighbours along the output channels.", option=int
        ),
    )
    per_channel_scale: bool = field(
        default=False,
        validator=check_scale,
        metadata=described("Scale each output channel to 1 first, and store the scales.", option=bool),
    )
    importance: Callable[[Weight], Any] | str | None = field(
        default=None,
        validator=check_importance,
        metadata=described(
            "What an error in each element costs: a function of a `Weight`, or 'module:name', that gives an "
            "array of its shape.",
            reference=True,
        ),
    )
    inside: str | None = field(
        default=None,
        validator=check_inside,
        metadata=described(
            "The encoding to nest the table in: 'sparse' or 'affine'; None: the weight itself."
        ),
    )
    lut_function: Callable[[Any], Any] | str | None = field(
        default=None,
        validator=check_function,
        metadata=described(
            "For mode custom: a function of a weight, or 'module:name', that gives the table, alone or as "
            "(table, indices).",
            reference=True,
        ),
    )

    encoding: ClassVar[str] = "lut"

    @property
    def detail(self) -> str:
        """What else is asked for, in words."""
        asked = {
            f"vectors of {self.cluster_dim}": self.cluster_dim > 1,
            "scaled per channel": self.per_channel_scale,
            "by importance": self.importance is not None,
        }
        return ", ".join(words for words, is_asked in asked.items() if is_asked)
