"""The models in a message: one alone, or the members of a pipeline of models, at any depth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from milpass.targets.opsets import raise_to
from milpass.weight import Key, Source, Weight

if TYPE_CHECKING:
    from milpass.graph import Graph

PROGRAM = "mlProgram"
NETWORKS = ("neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor")
# The kinds of pipelines of models -> the message that has the members.
PIPELINES: dict[str, Callable[[Any], Any]] = {
    "pipeline": lambda model: model.pipeline,
    "pipelineClassifier": lambda model: model.pipelineClassifier.pipeline,
    "pipelineRegressor": lambda model: model.pipelineRegressor.pipeline,
}


class Member(NamedTuple):
    """A model that is no pipeline: a live message, those of the pipelines around it, and its place in them.

    The place of a model alone is "", of a member its name or number, as in "encoder" or "1/0": names where
    each member of its pipeline has one of its own.
    """

    place: str
    model: Any
    around: tuple[Any, ...] = ()

    @property
    def kind(self) -> str | None:
        """Which kind of model it is, None for an empty message."""
        kind: str | None = self.model.WhichOneof("Type")
        return kind

    @property
    def prefix(self) -> str:
        """What stands before the names of its functions in keys."""
        return f"{self.place}/" if self.place else ""

    def raise_to(self, format: str) -> None:
        """Make it, an ML Program, one of a later format; the pipelines around it as new as that needs."""
        raise_to(self.model, format)
        for pipeline in self.around:
            pipeline.specificationVersion = max(
                pipeline.specificationVersion, self.model.specificationVersion
            )

    def closed(self, graph: Callable[[], Graph], why: str | None = None) -> Weight:
        """What stands for a member that is not looked into; `why`, if its kind does not tell."""
        kind = str(self.kind)
        key = Key(self.prefix, (), kind)
        return Weight(key, (0,), "fp32", Source("", 0), encoded=kind, barred=why, closed=True, graph=graph)


def members_of(model: Any) -> tuple[Member, ...]:
    """The models in a message that are no pipelines, in the order in which they run."""
    return tuple(_members(model, "", ()))


def _members(model: Any, place: str, around: tuple[Any, ...]) -> Iterator[Member]:
    inside = PIPELINES.get(model.WhichOneof("Type"))
    if inside is None:
        yield Member(place, model, around)
        return
    pipeline = inside(model)
    for name, member in zip(_names(pipeline), pipeline.models, strict=True):
        yield from _members(member, f"{place}/{name}" if place else name, (*around, model))


def _names(pipeline: Any) -> list[str]:
    """What tells the members of a pipeline apart: their names where these do, else their numbers."""
    names, count = list(pipeline.names), len(pipeline.models)
    sound = len(set(names)) == count and all(name and "/" not in name for name in names)
    return names if sound and len(names) == count else list(map(str, range(count)))
