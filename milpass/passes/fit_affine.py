"""Quantization: which scales and zero points are to be fitted."""

from __future__ import annotations

from typing import Any, ClassVar

from attrs import Attribute, field, frozen

from milpass.fitting import modes
from milpass.granularity import Granularity, PerChannel
from milpass.passes._kinds import FittingPass, check_granularity, one_of, refused
from milpass.passes.base import Pass, described

RANGES = ("minmax", "mse")


def _check_nbits(instance: Pass, attribute: Attribute[Any], value: object) -> None:
    mode = getattr(instance, "mode", None)
    if mode == "dynamic" and value != 8:
        raise refused(instance, attribute, value, "8, which is all that a layer can round its input to")
    least = 1 if mode == "linear" else 2
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= 8:
        raise refused(instance, attribute, value, f"an integer from {least} to 8")


@frozen(repr=False)
class fit_affine(FittingPass):
    """Fit whole numbers to each selected weight, with a scale, in mode "linear" a zero point, for each group.

    w = scale * (number - zero point); zero stays exactly zero.  A neural network has a bias in the place of a
    zero point, w = scale * number + bias, and mode "linear" spans no more than the values; only there is mode
    "dynamic", for layers that then round their input to whole numbers, too.
    """

    mode: str = field(
        default="linear",
        validator=one_of(*modes("affine")),
        metadata=described(f"How the scale is chosen: {', '.join(modes('affine'))}.", option=str, shown=True),
    )
    nbits: int = field(
        default=8,
        validator=_check_nbits,
        metadata=described("Bits a number.", option=int, shown=True),
    )
    granularity: Granularity = field(
        default=PerChannel(),
        validator=check_granularity,
        metadata=described("Who shares a scale: PerChannel(), PerTensor(), PerBlock(32), ..."),
    )
    range: str = field(
        default="minmax",
        validator=one_of(*RANGES),
        metadata=described(
            "What the numbers span: 'minmax', all values; 'mse', what makes the least squared error.",
            option=str,
        ),
    )
    inside: str | None = field(
        default=None,
        validator=one_of(None, "lut", "sparse"),
        metadata=described(
            "The encoding to nest them in: 'lut' (its table) or 'sparse'; None: the weight itself."
        ),
    )
    signed: bool = field(
        default=True,
        validator=one_of(True, False),
        metadata=described("Whether numbers go below zero.", option=bool),
    )

    encoding: ClassVar[str] = "affine"

    @property
    def has_offset(self) -> bool:
        """Whether zero points are stored: signed symmetric numbers need none."""
        return self.mode == "linear" or (self.mode == "linear_symmetric" and not self.signed)

    @property
    def rounds_inputs(self) -> bool:
        """Whether the operation that reads the weight is to round its other input, too."""
        return self.mode == "dynamic"
