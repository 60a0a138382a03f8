"""Palettization: which table is to be fitted."""

from __future__ import annotations

from typing import Any, ClassVar

from attrs import Attribute, field, frozen

from milpass.errors import UsageError
from milpass.fitting import MODES
from milpass.granularity import Granularity, PerTensor
from milpass.passes.base import Pass, argument, described
from milpass.plan import Entry, Fitted, Plan, Selected
from milpass.weight import Weight


def _refused(instance: Pass, attribute: Attribute[Any], value: object, needs: str) -> UsageError:
    return UsageError(
        argument(attribute, instance),
        who="fit_lut",
        cannot="fit a table with it",
        got=repr(value),
        needs=needs,
    )


def _check_mode(instance: Pass, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, str) or value not in MODES:
        raise _refused(instance, attribute, value, " or ".join(map(repr, MODES)))


def _check_nbits(instance: Pass, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 8:
        raise _refused(instance, attribute, value, "an integer from 1 to 8")


def _check_granularity(instance: Pass, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, PerTensor):
        raise _refused(instance, attribute, value, "PerTensor(), all that this version carries out")


def _check_not_yet(instance: Pass, attribute: Attribute[Any], value: object) -> None:
    """Fields that texts may already name, and that this version carries out at their default only."""
    if type(value) is not type(attribute.default) or value != attribute.default:
        raise _refused(
            instance, attribute, value, f"{attribute.default!r}, all that this version carries out"
        )


@frozen(repr=False)
class fit_lut(Pass):
    """Fit a look-up table (palette) of 2**nbits entries to each selected weight.

    `mode` is "kmeans", the table of least squared error, or "uniform", equal steps from the least to the
    greatest value.  The table has the weight's dtype; entries ascend; an element gets its nearest entry, of
    two equally near the lower.
    """

    mode: str = field(
        default="kmeans",
        validator=_check_mode,
        metadata=described(f"How the table is chosen: {' or '.join(MODES)}.", option=str),
    )
    nbits: int | None = field(
        default=None,
        validator=_check_nbits,
        metadata=described("Bits an index; the table has 2**nbits entries.", option=int),
    )
    granularity: Granularity = field(default=PerTensor(), validator=_check_granularity)
    cluster_dim: int = field(default=1, validator=_check_not_yet)
    per_channel_scale: bool = field(default=False, validator=_check_not_yet)
    importance: None = field(default=None, validator=_check_not_yet)
    inside: None = field(default=None, validator=_check_not_yet)
    lut_function: None = field(default=None, validator=_check_not_yet)

    encoding: ClassVar[str] = "lut"

    def fold(self, plan: Plan) -> Plan:
        """Say of each selected weight how it is to be fitted."""
        return plan.update(self._entry)

    def _entry(self, weight: Weight, entry: Entry) -> Entry:
        return Fitted((self,)) if isinstance(entry, Selected) else entry
