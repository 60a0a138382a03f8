"""Dialects spell: one file a format, such as an operating system's release, and the table of them."""

from milpass.dialects.base import Dialect
from milpass.dialects.ios16 import IOS16, IOS17
from milpass.dialects.ios18 import IOS18, IOS26
from milpass.dialects.neuralnetwork import NEURAL_NETWORK

# the name that a target gives its format -> how it spells
DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect for dialect in (IOS16, IOS17, IOS18, IOS26, NEURAL_NETWORK)
}

# Formats without compressed constants of their own, and the next that has them.
RAISED: dict[str, str] = dict.fromkeys(("iOS13", "iOS14", "iOS15"), "iOS16")

__all__ = ["DIALECTS", "RAISED", "Dialect"]
