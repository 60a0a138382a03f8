"""From what passes intend to what the model's format can hold, before any weight is read."""

from __future__ import annotations

from attrs import evolve, frozen

from milpass.companions import in_step
from milpass.dialects import DIALECTS, RAISED, Dialect
from milpass.entries import never
from milpass.errors import UsageError
from milpass.granularity import Ungroupable
from milpass.links import Found, are_found, links
from milpass.plan import REASONS, Entry, Fitted, Plan, Replaced, Selected, Skipped
from milpass.targets import Target
from milpass.weight import Weight


@frozen
class Course:
    """The format that a model has, the one it is to have, and why it cannot, if so."""

    source: str
    format: str
    refusal: str | None

    @property
    def dialect(self) -> Dialect | None:
        """How the format spells, None where nothing is written for it."""
        return DIALECTS.get(self.format)

    @property
    def raised_to(self) -> str | None:
        """The format, where the model has another one now."""
        return self.format if self.format != self.source else None

    @property
    def spells_anew(self) -> Dialect | None:
        """How the model's format spells, where compressed constants must be spelled anew in the other."""
        before = DIALECTS.get(self.source)
        if before is None or self.dialect is None or before.spells is self.dialect.spells:
            return None
        return before


def course_of(target: Target, wanted: str | None) -> Course:
    """The course for a model: to the format wanted, or else its own, or the next that can hold anything.

    Raises `UsageError` for a format that there is not, or that is older than the model's.
    """
    if wanted is not None:
        _check_wanted(target, wanted)
    format = wanted or RAISED.get(target.format, target.format)
    return Course(target.format, format, _refusal(target, format))


def dialect_of(target: Target) -> Dialect | None:
    """The dialect in which the compressed constants of a model are spelled as it stands."""
    return DIALECTS.get(target.format)


def settle(plan: Plan, course: Course) -> Plan:
    """Refuse what the format cannot hold, predict sizes, and give reasons to what passes left undone."""

    def entry(weight: Weight, found: Entry) -> Entry:
        if isinstance(found, Selected):
            return Skipped("unfitted", REASONS["unfitted"])
        if isinstance(found, Fitted):
            return _unreplaced(weight, found)
        if isinstance(found, Replaced):
            return _settled(weight, found, course)
        return found

    if course.dialect and course.dialect.one_type_a_layer:
        plan = in_step(plan)
    settled = plan.update(entry)
    for note in _notes(settled, course):
        settled = settled.note(note)
    after = course.format if settled.replaced else course.source
    return evolve(settled, formats=(course.source, after))


def _notes(plan: Plan, course: Course) -> list[str]:
    """What happens to the model as a whole."""
    notes = _growing(plan)
    if not plan.replaced or not course.raised_to:
        return notes
    notes.append(
        f"The model is raised from {course.source} to {course.format}; every operation in it means the same "
        "there."
    )
    encoded = sum(row.weight.encoded is not None for row in plan.rows)
    if course.spells_anew and encoded:
        notes.append(f"{encoded} constants already compressed are spelled anew for {course.format}.")
    return notes


def _growing(plan: Plan) -> list[str]:
    """A note where plain weights take more bytes than before, as with tables for very small groups."""
    pending = [row for row in plan.pending if not row.weight.encoded]
    names = [row.weight.name for row in pending if row.nbytes > row.weight.nbytes]
    return [f"{len(names)} weights take more bytes than before, {names[0]} the first."] if names else []


def _settled(weight: Weight, found: Replaced, course: Course) -> Entry:
    if refusal := _never(weight, found):
        return refusal
    if course.dialect is None or course.refusal:
        return Skipped("opset", course.refusal or "no dialect")
    if not found.is_pending:
        return found
    try:
        chain = links(weight, found.fits)
    except Ungroupable as reason:
        return Skipped("groups", str(reason))
    if why := course.dialect.refuse(chain):
        return Skipped("opset", why)
    known = not _has_found(found)  # of what the model has, bits and groups are yet to be read
    return evolve(found, nbytes=course.dialect.stored_bytes(chain, weight) if known else None)


def _never(weight: Weight, found: Replaced) -> Skipped | None:
    """Why nothing may be stored anew: what is compressed may be decompressed, or compressed further."""
    goes_on = found.fits[0].encoding == "dense" or _has_found(found)
    return None if not found.is_pending or (weight.encoded and goes_on) else never(weight)


def _has_found(entry: Replaced) -> bool:
    """Whether a part of the chain is in the model already."""
    return any(isinstance(fit, Found) for fit in entry.fits)


def _unreplaced(weight: Weight, fitted: Fitted) -> Skipped:
    """Why a fitted weight is left: no pass stores it, or nothing but what the model has was fitted."""
    if are_found(fitted.fits):
        return never(weight) or Skipped("encoded", REASONS["encoded"])
    return Skipped("unreplaced", REASONS["unreplaced"])


def _check_wanted(target: Target, wanted: str) -> None:
    releases = target.releases
    if wanted not in DIALECTS or wanted not in releases:
        known = [name for name in DIALECTS if name in releases]
        raise _refused(target, repr(wanted), f"one of {', '.join(known)}")
    if target.format in releases and releases.index(wanted) < releases.index(target.format):
        raise _refused(target, f"{wanted} for a model of {target.format}", f"{target.format} or later")


def _refused(target: Target, got: str, needs: str) -> UsageError:
    return UsageError(f"target of {target.name}", who="milpass", cannot="write it", got=got, needs=needs)


def _refusal(target: Target, format: str) -> str | None:
    """Why nothing in a model can be compressed in a format."""
    if format not in DIALECTS:
        return f"milpass writes no compressed constants for {format} yet"
    hindrance = target.hindrance(format) if target.format != format else None
    if hindrance and target.format not in DIALECTS:
        return f"{target.format} has no compressed constants; {hindrance}"
    return hindrance
