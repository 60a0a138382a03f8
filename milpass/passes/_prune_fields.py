"""What the fields of `prune_weights` take, alone and together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import Attribute

from milpass.passes._kinds import one_of, refused
from milpass.passes.base import Pass

if TYPE_CHECKING:
    from milpass.passes.prune_weights import prune_weights

RULES = ("sparsity", "threshold", "n_m")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_sparsity(instance: Pass, attribute: Attribute[Any], value: Any) -> None:
    """Refuse what is no share."""
    if value is not None and not (_is_number(value) and 0 <= value <= 1):
        raise refused(instance, attribute, value, "a share from 0 to 1, such as 0.5")


def check_threshold(instance: Pass, attribute: Attribute[Any], value: Any) -> None:
    """Refuse what is no magnitude."""
    if value is not None and not (_is_number(value) and 0 <= value < float("inf")):
        raise refused(instance, attribute, value, "a magnitude of at least 0")


def check_n_m(instance: prune_weights, attribute: Attribute[Any], value: Any) -> None:
    """Refuse what is no n of m, and more than one rule or none."""
    is_pair = isinstance(value, tuple) and len(value) == 2 and all(type(n) is int for n in value)
    if value is not None and not (is_pair and 0 <= value[0] <= value[1] and value[1] > 0):
        raise refused(instance, attribute, value, "two integers n <= m, such as (2, 4)")
    given = [name for name in RULES if getattr(instance, name) is not None]
    if len(given) != 1:
        needs = "one of sparsity, threshold and n_m"
        raise refused(instance, attribute, " and ".join(given) or None, needs)


def check_minimum(instance: prune_weights, attribute: Attribute[Any], value: Any) -> None:
    """Refuse what is no share, and one beside a rule that says itself how many elements go."""
    if not (_is_number(value) and 0 <= value <= 1):
        raise refused(instance, attribute, value, "a share from 0 to 1, such as 0.5")
    if value and instance.threshold is None:
        raise refused(instance, attribute, value, "a threshold with it")


def check_block_size(instance: prune_weights, attribute: Attribute[Any], value: Any) -> None:
    """Refuse what is no block, and blocks of which no share is to go."""
    if value is None:
        return
    if type(value) is not int or value < 2:
        raise refused(instance, attribute, value, "an integer of at least 2")
    if instance.sparsity is None:
        raise refused(instance, attribute, value, "a sparsity with it")


def check_along(instance: prune_weights, attribute: Attribute[Any], value: Any) -> None:
    """Refuse channels of which there are but two kinds, and those without neighbours along them."""
    one_of(None, "output", "input")(instance, attribute, value)
    if value is not None and instance.block_size is None and instance.n_m is None:
        raise refused(instance, attribute, value, "a block_size or n_m with it")
