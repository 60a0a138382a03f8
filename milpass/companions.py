"""Weights of one layer that must be stored in one floating-point type, where a format asks for it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby

from milpass.entries import never
from milpass.links import ENCODINGS
from milpass.plan import Entry, Plan, Replaced, Row, Skipped
from milpass.weight import Key, Weight


def in_step(plan: Plan, concerns: Callable[[Weight], bool]) -> Plan:
    """The plan with whole layers in fp16, or plain again, where passes chose some of their weights.

    `concerns` tells whether a weight's format asks for one type a layer.
    Tables and whole numbers go with either type.  Where one of a layer must stay as it is, so do the others.
    """
    entries: dict[Key, Entry] = {}
    followers: list[Weight] = []
    for _, group in groupby(plan.rows, key=lambda row: _layer(row.weight)):
        rows = tuple(group)
        first = rows[0].weight
        if _layer(first) is not None and concerns(first) and {_type(row) for row in rows} >= {"fp16", "fp32"}:
            _settle(rows, entries, followers)
    if not entries:
        return plan
    moved = plan.update(lambda weight, entry: entries.get(weight.key, entry))
    if not followers:
        return moved
    return moved.note(
        f"Stored as others of their layers are: {len(followers)} weights, {followers[0].label} the first; no "
        "layer may have both fp16 and fp32."
    )


def _settle(rows: tuple[Row, ...], entries: dict[Key, Entry], followers: list[Weight]) -> None:
    """The entries of a layer that would have both types."""
    wanted = "fp16" if any(_is_stored(row, "cast") for row in rows) else "fp32"
    leaders = [row for row in rows if _is_stored(row, "cast" if wanted == "fp16" else "dense")]
    others = [row for row in rows if _type(row) not in (wanted, None)]
    stays = next((row.weight for row in others if not _may_follow(row.weight, wanted)), None)
    if not leaders:
        return  # the model has both already
    for row in leaders if stays else others:
        if stays:
            reason = f"{stays.label} stays as it is, and no layer may have both fp16 and fp32"
            entries[row.weight.key] = Skipped("opset", reason)
        else:
            assert isinstance(leaders[0].entry, Replaced)
            entries[row.weight.key] = Replaced(leaders[0].entry.fits)
            followers.append(row.weight)


def _layer(weight: Weight) -> Key | None:
    """The layer that holds a weight, None for a constant that is handed to others."""
    return next((reader.at for reader in weight.readers if not reader.through), None)


def _is_stored(row: Row, encoding: str) -> bool:
    return isinstance(row.entry, Replaced) and row.entry.is_pending and row.entry.fits[0].encoding == encoding


def _type(row: Row) -> str | None:
    """The floating-point type of what will be stored, None for tables and whole numbers."""
    if isinstance(row.entry, Replaced):
        return {"cast": "fp16", "dense": "fp32"}.get(row.entry.fits[0].encoding)
    if row.weight.encoded:
        return "fp16" if ENCODINGS.get(row.weight.encoded) == "cast" else None
    return "fp32"


def _may_follow(weight: Weight, wanted: str) -> bool:
    if weight.barred:
        return False
    return never(weight) is None if wanted == "fp16" else bool(weight.encoded)
