"""Pruning: which elements are to become zero."""

from __future__ import annotations

from math import prod
from typing import ClassVar

from attrs import field, frozen

from milpass.granularity import Granularity, PerTensor
from milpass.passes._kinds import FittingPass, one_of
from milpass.passes._neighbours import Neighbours, kept_of_blocks, kept_of_neighbours
from milpass.passes._prune_fields import (
    check_along,
    check_block_size,
    check_minimum,
    check_n_m,
    check_sparsity,
    check_threshold,
)
from milpass.passes.base import described


@frozen(repr=False)
class prune_weights(FittingPass):
    """Make the elements of least magnitude of each selected weight zero.

    How many: the share `sparsity` of each weight, one by one or in blocks of neighbouring channels
    (`block_size`), those of at most `threshold`, or `n` of every `m` neighbouring channels (`n_m`).
    Elements that are zero anyhow are not stored either.  With `around`, weights whose fit (in this pipeline,
    or in the model) is of that encoding are pruned instead: what stays keeps its index or number.
    """

    sparsity: float | None = field(
        default=None,
        validator=check_sparsity,
        metadata=described("The share of elements that become zero, rounded down.", option=float),
    )
    threshold: float | None = field(
        default=None,
        validator=check_threshold,
        metadata=described("Magnitudes of at most this become zero.", option=float),
    )
    n_m: tuple[int, int] | None = field(
        default=None,
        validator=check_n_m,
        metadata=described("(n, m): n of every m neighbouring channels become zero."),
    )
    minimum_sparsity: float = field(
        default=0.0,
        validator=check_minimum,
        metadata=described(
            "With `threshold`: a weight of which less than this share would be zero is left.", option=float
        ),
    )
    block_size: int | None = field(
        default=None,
        validator=check_block_size,
        metadata=described(
            "With `sparsity`: so many neighbouring channels become zero together, by their L2 norm.",
            option=int,
        ),
    )
    along: str | None = field(
        default=None,
        validator=check_along,
        metadata=described(
            "Along which channels neighbours lie: 'output' or 'input'; None: 'output' with `block_size`, "
            "'input' with `n_m`.",
            option=str,
        ),
    )

    around: str | None = field(
        default=None,
        validator=one_of(None, "lut", "affine"),
        metadata=described(
            "The encoding to prune, 'lut' or 'affine', by its decoded values, with what stays kept as it is; "
            "None: the weight itself."
        ),
    )

    encoding: ClassVar[str] = "sparse"
    inside: ClassVar[None] = None
    nbits: ClassVar[None] = None

    @property
    def mode(self) -> str:
        """By which rule elements are chosen."""
        if self.sparsity is not None:
            return "magnitude" if self.block_size is None else "blocks"
        return "threshold" if self.threshold is not None else "n_m"

    @property
    def detail(self) -> str:
        """How much it prunes, in words."""
        if self.n_m is not None:
            return f"{self.n_m[0]}:{self.n_m[1]}" + (f" along {self.along}" if self.along else "")
        if self.threshold is not None:
            least = f", at least {100 * self.minimum_sparsity:g}%" if self.minimum_sparsity else ""
            return f"at most {self.threshold:g}{least}"
        share = f"{100 * (self.sparsity or 0):g}%"
        return share if self.block_size is None else f"{share}, {self.block_size} {self._along} channels each"

    @property
    def _along(self) -> str:
        return self.along or ("input" if self.n_m else "output")

    @property
    def granularity(self) -> Granularity:
        """The neighbours among which elements are chosen."""
        count = self.block_size if self.n_m is None else self.n_m[1]
        return PerTensor() if count is None else Neighbours(count, self._along)

    def kept(self, shape: tuple[int, ...], groups: tuple[int, ...]) -> int | None:
        """How many elements stay at most, of a weight in such groups; None where the data tell."""
        if self.n_m is not None:
            return kept_of_neighbours(shape, groups, *self.n_m)
        if self.sparsity is None:
            return None
        gone = int(prod(shape) * self.sparsity)
        if self.block_size is not None:
            return kept_of_blocks(shape, groups, self.block_size, gone)
        return prod(shape) - gone
