"""Carrying out a plan: weight by weight in file order, load, fit, spell, write."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, log10
from pathlib import Path

from attrs import evolve

from milpass.dialects import Dialect
from milpass.errors import NothingCompressed
from milpass.fitting import fit_function
from milpass.fitting.fitted import NotFittable, Quality
from milpass.legality import dialect_for, format_for
from milpass.plan import Entry, Plan, Replaced, Result, Row, Skipped
from milpass.records import Record
from milpass.targets import Edit, Target
from milpass.weight import Key


def carry_out(
    plan: Plan,
    target: Target,
    out: Path,
    *,
    overwrite: bool,
    progress: Callable[[str, int, int], None] | None,
) -> Plan:
    """Write the model with the plan's weights replaced, and give the plan with its results."""
    dialect = dialect_for(target)
    assert dialect is not None
    raised = format_for(target) if format_for(target) != target.format else None
    rows = sorted(plan.replaced, key=lambda row: row.weight.source)
    with target.editing(out, overwrite=overwrite, raise_to=raised) as edit:
        run = _Run(edit, dialect)
        for number, row in enumerate(rows, 1):
            if progress:
                progress(row.weight.name, number, len(rows))
            run.replace(row)
        done = plan.update(lambda weight, entry: run.entries.get(weight.key, entry))
        if not done.replaced:
            raise NothingCompressed(done, target.name)
    return done


class _Run:
    """One pass over the file; a weight whose bytes and fit are those of the one before is stored once."""

    def __init__(self, edit: Edit, dialect: Dialect) -> None:
        self.entries: dict[Key, Entry] = {}
        self._edit = edit
        self._dialect = dialect
        self._last: tuple[object, Record | None, Entry] | None = None

    def replace(self, row: Row) -> None:
        """Fit a weight and put what stores it in its place, or note why its values forbid it."""
        weight, entry = row.weight, row.entry
        assert isinstance(entry, Replaced)
        same = (weight.source, weight.shape, weight.dtype, entry.fits)
        if self._last is None or self._last[0] != same:
            self._last = (same, *self._fitted(row, entry))
        _, record, outcome = self._last
        if record:
            self._edit.replace(weight, record)
        self.entries[weight.key] = outcome

    def _fitted(self, row: Row, entry: Replaced) -> tuple[Record | None, Entry]:
        fit = entry.fits[-1]
        try:
            fitted = fit_function(fit.mode)(row.weight.load(), fit)
        except NotFittable as refusal:
            return None, Skipped("data", str(refusal))
        record = self._dialect.spell(fitted.encoding)
        return record, evolve(entry, result=_result(fitted.quality))


def _result(quality: Quality) -> Result:
    """The quality as the plan states it."""
    return Result(
        squared_error=quality.squared_error,
        max_error=quality.max_error,
        snr=_decibels(quality.signal, quality.squared_error),
        optimum=quality.optimum,
        bound=quality.bound,
    )


def _decibels(signal: float, noise: float) -> float:
    """The ratio in dB; infinite without noise."""
    if noise == 0:
        return inf
    return 10 * log10(signal / noise) if signal else -inf
