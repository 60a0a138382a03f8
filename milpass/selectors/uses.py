"""Selectors that go by what the readers use a weight for."""

from __future__ import annotations

from milpass.roles import WEIGHT_ROLES
from milpass.selectors.language import Bare
from milpass.weight import Weight


class _anything(Bare):
    """Every constant that may be compressed at all."""

    def holds(self, weight: Weight) -> bool:
        return True


class _is_weight(Bare):
    """Constants that some reader uses as its weight or embedding table.

    Directly or through cast, transpose, reshape, squeeze, expand_dims; never biases, norms, masks or slopes.
    """

    def holds(self, weight: Weight) -> bool:
        return any(reader.role in WEIGHT_ROLES for reader in weight.readers)


anything = _anything()
"""Every constant that may be compressed at all."""

is_weight = _is_weight()
"""Constants that some reader uses as its weight or embedding table, directly or through cast, transpose,
reshape, squeeze, expand_dims; never biases, norms, masks or slopes."""
