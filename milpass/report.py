"""What a plan says, as plain data; the schema is described in docs/json.md."""

from __future__ import annotations

from math import isfinite
from typing import Any

from milpass.plan import Entry, Plan, Replaced, Row, Skipped, outcome
from milpass.weight import Weight

# Raised when a key changes its meaning or goes; keys are added without.
SCHEMA = 1


def plan_data(plan: Plan) -> dict[str, Any]:
    """A plan as dicts, lists, strings and numbers; numbers that are not finite are None."""
    return {
        "schema": SCHEMA,
        "format": {"before": plan.formats[0], "after": plan.formats[1]} if plan.formats else None,
        "weights": [_row(row) for row in plan.rows],
        "notes": list(plan.notes),
        "totals": {
            "weights": len(plan.rows),
            "compressed": len(plan.replaced),
            "nbytes_before": sum(row.weight.nbytes for row in plan.rows),
            "nbytes_after": sum(row.nbytes for row in plan.rows),
        },
    }


def weight_data(weight: Weight) -> dict[str, Any]:
    """What is known of a weight without reading it."""
    return {
        "name": weight.name,
        "function": weight.key.function,
        "block": list(weight.key.block),
        "shape": list(weight.shape),
        "dtype": weight.dtype,
        "stored_as": weight.encoded or "const",
        "readers": [
            {"op_type": reader.op_type, "op_name": reader.op_name, "input": reader.input, "role": reader.role}
            for reader in weight.readers
        ],
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        **weight_data(row.weight),
        "nbytes_before": row.weight.nbytes,
        "nbytes_after": row.nbytes,
        "outcome": "compressed" if isinstance(row.entry, Replaced) else "left",
        "reason": row.entry.code if isinstance(row.entry, Skipped) else None,
        "text": outcome(row.entry),
        "fits": _fits(row.entry),
        "result": _result(row.entry),
    }


def _fits(entry: Entry) -> list[dict[str, Any]]:
    fits = entry.fits if isinstance(entry, Replaced) else ()
    return [
        {
            "encoding": fit.encoding,
            "mode": fit.mode,
            "nbits": fit.nbits,
            "granularity": repr(fit.granularity),
        }
        for fit in fits
    ]


def _result(entry: Entry) -> dict[str, Any] | None:
    if not isinstance(entry, Replaced) or entry.result is None:
        return None
    result = entry.result
    figures = {
        "snr": result.snr,
        "max_error": result.max_error,
        "squared_error": result.squared_error,
        "optimum": result.optimum,
        "bound": result.bound,
    }
    known = {key: value if value is not None and isfinite(value) else None for key, value in figures.items()}
    return {"nbits": result.nbits, **known, "ways": dict(result.ways)}
