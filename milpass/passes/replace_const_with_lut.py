"""Palettization: storing the fitted tables."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from milpass.passes._kinds import StoringPass


@frozen(repr=False)
class replace_const_with_lut(StoringPass):
    """Store each weight whose fit is a look-up table as that table and packed indices.

    The operation that takes the constant's place keeps its output name, so its readers are untouched.
    """

    encoding: ClassVar[str] = "lut"
