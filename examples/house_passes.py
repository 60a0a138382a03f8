"""Words of one's own: a pass that selects, a mode that fits, a selector.

milpass apply digits.mlpackage -o small.mlpackage --import house_passes \
    -p "select_largest(share=0.9) | fit_lut(mode='quantiles', nbits=4) | replace_const_with_lut()"
"""

from __future__ import annotations

import numpy as np
from attrs import field

from milpass import Pass, as_pass, lut_mode, selector
from milpass.passes import described
from milpass.plan import Plan, Selected
from milpass.weight import Weight


@as_pass
class select_largest(Pass):
    """Choose the largest weights that together hold `share` of all bytes."""

    share: float = field(default=0.9, metadata=described("How much of the bytes to choose.", option=float))

    def fold(self, plan: Plan) -> Plan:
        """Mark them."""
        total = sum(row.weight.nbytes for row in plan.rows)
        chosen, covered = set(), 0
        for weight in sorted((row.weight for row in plan.rows), key=lambda weight: -weight.nbytes):
            if weight.rank > 1 and covered < self.share * total:
                chosen.add(weight.key)
                covered += weight.nbytes
        return plan.update(lambda weight, entry: Selected(repr(self)) if weight.key in chosen else entry)


@lut_mode
def quantiles(weight: np.ndarray, nbits: int) -> np.ndarray:
    """Entries that are used equally often."""
    return np.quantile(weight.astype(np.float64), (np.arange(2**nbits) + 0.5) / 2**nbits)


@selector
def wider_than_tall(weight: Weight) -> bool:
    """Matrices with more columns than rows."""
    return weight.rank == 2 and weight.shape[1] > weight.shape[0]
