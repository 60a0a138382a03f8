"""From what passes intend to what the model's format can hold, before any weight is read."""

from __future__ import annotations

from attrs import evolve

from milpass.dialects import DIALECTS, RAISED, Dialect
from milpass.plan import REASONS, Entry, Fitted, Plan, Replaced, Selected, Skipped
from milpass.targets import Target
from milpass.weight import ITEMSIZES, Weight


def format_for(target: Target) -> str:
    """The format that a model will have once something in it is compressed."""
    return RAISED.get(target.format, target.format)


def dialect_for(target: Target) -> Dialect | None:
    """The dialect that spells for a model, None where there is none."""
    return DIALECTS.get(format_for(target))


def settle(plan: Plan, target: Target) -> Plan:
    """Refuse what the format cannot hold, predict sizes, and give reasons to what passes left undone."""
    refusal = _refusal_of_model(target)
    dialect = dialect_for(target)

    def entry(weight: Weight, found: Entry) -> Entry:
        if isinstance(found, Selected):
            return Skipped("unfitted", REASONS["unfitted"])
        if isinstance(found, Fitted):
            return Skipped("unreplaced", REASONS["unreplaced"])
        if isinstance(found, Replaced):
            return _settled(weight, found, dialect, refusal)
        return found

    settled = plan.update(entry)
    if settled.replaced and format_for(target) != target.format:
        return settled.note(
            f"The model is raised from {target.format} to {format_for(target)}, the first release "
            "with compressed constants; every operation in it means the same there."
        )
    return settled


def _settled(weight: Weight, found: Replaced, dialect: Dialect | None, refusal: str | None) -> Entry:
    if dialect is None or refusal:
        return Skipped("opset", refusal or "no dialect")
    if why := dialect.refuse(found.fits):
        return Skipped("opset", why)
    return evolve(found, nbytes=dialect.nbytes(found.fits, weight.size, ITEMSIZES[weight.dtype]))


def _refusal_of_model(target: Target) -> str | None:
    """Why nothing in a model can be compressed as it stands."""
    if dialect_for(target) is None:
        return f"milpass writes no compressed constants for {target.format} yet"
    if target.format in RAISED and (ops := target.obstacles(format_for(target))):
        return (
            f"{target.format} has no compressed constants, and {format_for(target)} defines anew "
            f"{', '.join(ops)}, which the model uses"
        )
    return None
