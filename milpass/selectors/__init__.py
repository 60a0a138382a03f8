"""Which weights: `from milpass.selectors import is_weight, op_type, name`; in texts they are bare words."""

from typing import TYPE_CHECKING

from milpass.selectors.language import Predicate, Selector, as_selector
from milpass.selectors.misses import unmatched
from milpass.selectors.own import selector
from milpass.selectors.patterns import matches, name, op_name, op_type
from milpass.selectors.sizes import dtype, rank, shape, size
from milpass.selectors.uses import anything, is_weight
from milpass.selectors.vocabulary import SELECTORS

if not TYPE_CHECKING:
    globals().update({name: found for name, found in SELECTORS.items() if name not in globals()})

__all__ = [
    "SELECTORS",
    "Predicate",
    "Selector",
    "anything",
    "as_selector",
    "dtype",
    "is_weight",
    "matches",
    "name",
    "op_name",
    "op_type",
    "rank",
    "selector",
    "shape",
    "size",
    "unmatched",
]
