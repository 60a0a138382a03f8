"""From what passes intend to what the model's format can hold, before any weight is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import Factory, evolve, frozen

from milpass.companions import in_step
from milpass.dialects import DIALECTS, RAISED, Dialect
from milpass.entries import never
from milpass.errors import UsageError, shown
from milpass.granularity import Ungroupable
from milpass.links import Found, are_found, links
from milpass.plan import REASONS, Entry, Fitted, Plan, Replaced, Selected, Skipped
from milpass.targets import Part, Target
from milpass.weight import Weight


@frozen
class Course:
    """The format that a model has, the one it is to have, and why it cannot, if so.

    That of a pipeline of models has one for each member whose weights are told, by place.
    """

    source: str
    format: str
    refusal: str | None
    members: Mapping[str, Course] = Factory(dict)

    def place(self, weight: Weight) -> str:
        """The place of the model that a weight belongs to."""
        return weight.key.member if self.members else ""

    def of(self, weight: Weight) -> Course:
        """The course of the model that a weight belongs to."""
        return self.members[weight.key.member] if self.members else self

    @property
    def parts(self) -> Mapping[str, Course]:
        """The courses of the models whose weights are told, by place; "" is that of one alone."""
        return self.members or {"": self}

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
    courses = {
        place: _course(part, wanted if wanted in part.releases else None)
        for place, part in target.parts().items()
    }
    if courses.keys() == {""}:
        return courses[""]
    return Course(target.format, _together(each.format for each in courses.values()), None, courses)


def _course(part: Part, wanted: str | None) -> Course:
    format = wanted or RAISED.get(part.format, part.format)
    return Course(part.format, format, _refusal(part, format))


def _together(formats: Iterable[str]) -> str:
    """The formats of a pipeline of models, as a target tells its own."""
    return " and ".join(sorted(set(formats)))


def dialect_of(target: Target, weight: Weight) -> Dialect | None:
    """The dialect in which a weight would be spelled in a model as it stands."""
    parts = target.parts()
    part = parts.get("") or parts[weight.key.member]
    return DIALECTS.get(part.format)


def raised(plan: Plan, course: Course) -> dict[str, str]:
    """The places of the models that are raised, those with something stored anew, and their formats."""
    chosen = (row.weight for row in plan.replaced)
    places = ((course.place(weight), course.of(weight).raised_to) for weight in chosen)
    return {place: format for place, format in places if format}


def settle(plan: Plan, course: Course) -> Plan:
    """Refuse what the format cannot hold, predict sizes, and give reasons to what passes left undone."""

    def entry(weight: Weight, found: Entry) -> Entry:
        if isinstance(found, Selected):
            return Skipped("unfitted", REASONS["unfitted"])
        if isinstance(found, Fitted):
            return _unreplaced(weight, found)
        if isinstance(found, Replaced):
            return _settled(weight, found, course.of(weight))
        return found

    if any(map(_has_one_type, course.parts.values())):
        plan = in_step(plan, lambda weight: _has_one_type(course.of(weight)))
    settled = plan.update(entry)
    for note in _notes(settled, course):
        settled = settled.note(note)
    return evolve(settled, formats=(course.source, _format_after(settled, course)))


def _has_one_type(course: Course) -> bool:
    """Whether no layer of a model may have both fp16 and fp32 weights."""
    return course.dialect is not None and course.dialect.one_type_a_layer


def _format_after(plan: Plan, course: Course) -> str:
    """The format of the model once the plan has been carried out."""
    to = raised(plan, course)
    return _together(to.get(place, each.source) for place, each in course.parts.items())


def _notes(plan: Plan, course: Course) -> list[str]:
    """What happens to the model as a whole."""
    notes = _growing(plan)
    for place, format in raised(plan, course).items():
        own = course.members.get(place, course)
        model = f"The model {shown(place)!r} of the pipeline" if place else "The model"
        notes.append(
            f"{model} is raised from {own.source} to {format}; every operation in it means the same there."
        )
        weights = (row.weight for row in plan.rows if course.place(row.weight) == place)
        encoded = sum(weight.encoded is not None for weight in weights)
        if own.spells_anew and encoded:
            notes.append(f"{encoded} constants already compressed are spelled anew for {format}.")
    return notes


def _growing(plan: Plan) -> list[str]:
    """A note where plain weights take more bytes than before, as with tables for very small groups."""
    pending = [row for row in plan.pending if not row.weight.encoded]
    names = [row.weight.label for row in pending if row.nbytes > row.weight.nbytes]
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
    parts = target.parts().values()
    known = [name for name in DIALECTS if any(name in part.releases for part in parts)]
    if wanted not in known:
        raise _refused(target, repr(wanted), f"one of {', '.join(known)}")
    for part in parts:
        releases = part.releases
        if {part.format, wanted} <= set(releases) and releases.index(wanted) < releases.index(part.format):
            raise _refused(target, f"{wanted} for a model of {part.format}", f"{part.format} or later")


def _refused(target: Target, got: str, needs: str) -> UsageError:
    return UsageError(f"target of {target.name}", who="milpass", cannot="write it", got=got, needs=needs)


def _refusal(part: Part, format: str) -> str | None:
    """Why nothing in a model can be compressed in a format."""
    if format not in DIALECTS:
        return f"milpass writes no compressed constants for {format} yet"
    hindrance = part.hindrance(format) if part.format != format else None
    if hindrance and part.format not in DIALECTS:
        return f"{part.format} has no compressed constants; {hindrance}"
    return hindrance
