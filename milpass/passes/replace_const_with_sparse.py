"""Pruning: storing what is not zero under a mask."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from milpass.passes._kinds import StoringPass


@frozen(repr=False)
class replace_const_with_sparse(StoringPass):
    """Store each pruned weight as a mask of one bit an element and the values under it.

    The operation that takes the constant's place keeps its output name, so its readers are untouched.
    """

    encoding: ClassVar[str] = "sparse"
