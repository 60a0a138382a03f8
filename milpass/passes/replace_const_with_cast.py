"""Half precision: storing fp16 where readers see fp32."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from milpass.passes._kinds import StoringPass


@frozen(repr=False)
class replace_const_with_cast(StoringPass):
    """Store each weight whose fit is a cast in the shorter type; its readers see the type they saw before.

    The operation that takes the constant's place keeps its output name, so its readers are untouched.
    """

    encoding: ClassVar[str] = "cast"
