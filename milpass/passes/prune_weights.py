"""Pruning: which elements are to become zero."""

from __future__ import annotations

from math import prod
from typing import Any, ClassVar

from attrs import Attribute, field, frozen

from milpass.granularity import Channels, Granularity, PerBlock, PerTensor, Ungroupable
from milpass.passes._kinds import FittingPass, refused
from milpass.passes.base import Pass, described


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_sparsity(instance: Pass, attribute: Attribute[Any], value: Any) -> None:
    if value is not None and not (_is_number(value) and 0 < value < 1):
        raise refused(instance, attribute, value, "a share between 0 and 1, such as 0.5")


def _check_threshold(instance: Pass, attribute: Attribute[Any], value: Any) -> None:
    if value is not None and not (_is_number(value) and 0 < value < float("inf")):
        raise refused(instance, attribute, value, "a magnitude above 0")


def _check_n_m(instance: prune_weights, attribute: Attribute[Any], value: Any) -> None:
    is_pair = isinstance(value, tuple) and len(value) == 2 and all(type(n) is int for n in value)
    if value is not None and not (is_pair and 0 < value[0] < value[1]):
        raise refused(instance, attribute, value, "two integers n < m, such as (2, 4)")
    given = [name for name in ("sparsity", "threshold", "n_m") if getattr(instance, name) is not None]
    if len(given) != 1:
        needs = "one of sparsity, threshold and n_m"
        raise refused(instance, attribute, " and ".join(given) or None, needs)


@frozen(repr=False)
class _Neighbours(Granularity):
    """Every `count` neighbours along the input channels."""

    count: int

    def groups(self, shape: tuple[int, ...], channels: Channels) -> tuple[int, ...]:
        if channels.input is None:
            raise Ungroupable(channels.why)
        sizes = tuple(self.count if axis == channels.input else 1 for axis in range(len(shape)))
        return PerBlock(sizes).groups(shape, channels)


@frozen(repr=False)
class prune_weights(FittingPass):
    """Make the elements of least magnitude of each selected weight zero.

    How many: the share `sparsity` of each weight, those below `threshold`, or `n` of every `m` neighbours
    along the input channels (`n_m`).  Elements that are zero anyhow are not stored either.
    """

    sparsity: float | None = field(
        default=None,
        validator=_check_sparsity,
        metadata=described("The share of elements that become zero.", option=float),
    )
    threshold: float | None = field(
        default=None,
        validator=_check_threshold,
        metadata=described("Magnitudes below this become zero.", option=float),
    )
    n_m: tuple[int, int] | None = field(
        default=None,
        validator=_check_n_m,
        metadata=described("(n, m): n of every m neighbours along the input channels become zero."),
    )

    encoding: ClassVar[str] = "sparse"
    inside: ClassVar[None] = None
    nbits: ClassVar[None] = None

    @property
    def mode(self) -> str:
        """By which rule elements are chosen."""
        if self.sparsity is not None:
            return "magnitude"
        return "threshold" if self.threshold is not None else "n_m"

    @property
    def detail(self) -> str:
        """How much it prunes, in words."""
        if self.n_m is not None:
            return f"{self.n_m[0]}:{self.n_m[1]}"
        return f"{self.sparsity:.0%}" if self.sparsity is not None else f"below {self.threshold:g}"

    @property
    def granularity(self) -> Granularity:
        """The neighbours among which elements are chosen."""
        return PerTensor() if self.n_m is None else _Neighbours(self.n_m[1])

    def kept(self, shape: tuple[int, ...]) -> int | None:
        """How many elements stay at most; None where the data tell."""
        size = prod(shape)
        if self.sparsity is not None:
            return max(size - int(size * self.sparsity), 1)
        return None if self.n_m is None else size - size // self.n_m[1] * self.n_m[0]
