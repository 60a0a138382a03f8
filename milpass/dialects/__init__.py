"""Dialects spell: one file an operating system release, and the table of the formats they serve."""

from milpass.dialects.base import Dialect
from milpass.dialects.ios16 import IOS16

# the name that a target gives its format -> how it spells
DIALECTS: dict[str, Dialect] = {"iOS16": IOS16()}

# Formats without compressed constants of their own, and the next that has them.
RAISED: dict[str, str] = {"iOS15": "iOS16"}

__all__ = ["DIALECTS", "RAISED", "Dialect"]
