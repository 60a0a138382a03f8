"""Quantization: storing whole numbers with their scales."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from milpass.passes._kinds import StoringPass


@frozen(repr=False)
class replace_const_with_affine(StoringPass):
    """Store each weight whose fit is affine as whole numbers, scales and offsets.

    The operation that takes the constant's place keeps its output name, so its readers are untouched.
    """

    encoding: ClassVar[str] = "affine"
