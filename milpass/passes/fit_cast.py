"""Half precision: which type is to be stored."""

from __future__ import annotations

from typing import ClassVar

from attrs import field, frozen

from milpass.fitting import modes
from milpass.granularity import Granularity, PerTensor
from milpass.passes._kinds import FittingPass, one_of
from milpass.passes.base import described
from milpass.plan import Entry, Skipped
from milpass.weight import Weight


@frozen(repr=False)
class fit_cast(FittingPass):
    """Round each selected fp32 weight to a shorter type.

    A weight with values that overflow it is left as it is.
    """

    dtype: str = field(
        default="fp16",
        validator=one_of(*modes("cast")),
        metadata=described("The type to store.", option=str, shown=True),
    )

    encoding: ClassVar[str] = "cast"
    inside: ClassVar[None] = None
    nbits: ClassVar[None] = None
    granularity: ClassVar[Granularity] = PerTensor()

    @property
    def mode(self) -> str:
        """The type."""
        return self.dtype

    def _entry(self, weight: Weight, entry: Entry) -> Entry:
        fitted = super()._entry(weight, entry)
        if fitted is not entry and weight.dtype == self.dtype:
            return Skipped("dtype", f"it is {weight.dtype} already")
        return fitted
