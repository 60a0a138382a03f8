"""One walk over the layers of a model: where each stands, and which hands its results to which.

A blob may be bound again, so that who reads it gets what was bound last: def-use follows the order of the
layers.  Networks inside a layer bind the blobs of the network around them; what either branch binds, or no
turn of a loop, may be read afterwards, and a turn may read what the one before it bound.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from attrs import field, frozen

from milpass.targets.members import NETWORKS, members_of
from milpass.targets.neuralnetwork.layers import CONSTANTS, NESTED
from milpass.weight import Key

# What a blob's name stands for: the layers that may have bound it; None: an input of the model.
Scope: TypeAlias = dict[str, frozenset["Layer | None"]]


@frozen(eq=False)
class Layer:
    """One layer: where it stands, its type, its live message; what is around it, outermost first.

    `network` are the live layers among which it stands.
    """

    at: Key
    type: str
    live: Any
    models: tuple[Any, ...]
    network: Any
    around: tuple[Any, ...] = ()

    @property
    def parameters(self) -> Any:
        """The parameters of its type."""
        return getattr(self.live, self.type)


@frozen
class Owner:
    """The models and the layers around a network, the outermost first."""

    models: tuple[Any, ...]
    around: tuple[Any, ...] = ()


@frozen(eq=False)
class Networks:
    """The layers, those inside one right after it, and the flow between them.

    `uses` are the readers of each constant's result.
    """

    layers: list[Layer] = field(factory=list)
    flows: dict[tuple[Layer, Layer], None] = field(factory=dict)
    uses: dict[Layer, dict[tuple[Layer, int], None]] = field(factory=lambda: defaultdict(dict))
    reading_input: set[Layer] = field(factory=set)
    giving_output: set[Layer] = field(factory=set)
    _known: dict[Key, list[Layer]] = field(factory=dict)

    @classmethod
    def of(cls, model: Any) -> Networks:
        """Walk every network of a model, those of a pipeline by the places of its members."""
        found = cls()
        for each in members_of(model):
            if each.kind in NETWORKS:
                found._stage(f"{each.prefix}main", (*each.around, each.model))
        return found

    def _stage(self, function: str, models: tuple[Any, ...]) -> None:
        description = models[-1].description
        scope: Scope = {each.name: frozenset({None}) for each in description.input}
        network = getattr(models[-1], models[-1].WhichOneof("Type"))
        scope = self._network(network, Key(function, (), ""), Owner(models), scope)
        for output in description.output:
            self.giving_output.update(layer for layer in scope.get(output.name, ()) if layer)

    def _network(self, network: Any, place: Key, owner: Owner, scope: Scope) -> Scope:
        """Walk the layers of a network, and give what its blobs stand for after them."""
        scope, is_new = dict(scope), place not in self._known
        for layer in self._layers(network, place, owner):
            if is_new:
                self.layers.append(layer)
            for number, blob in enumerate(layer.live.input):
                self._read(layer, number, scope.get(blob, frozenset()))
            if layer.type in NESTED:
                scope = self._nested(layer, scope)
            scope.update(dict.fromkeys(layer.live.output, frozenset({layer})))
        return scope

    def _layers(self, network: Any, place: Key, owner: Owner) -> list[Layer]:
        """The layers of a network, the same each time that it is walked over."""
        if place not in self._known:
            self._known[place] = list(_labelled(network.layers, place, owner))
        return self._known[place]

    def _nested(self, layer: Layer, scope: Scope) -> Scope:
        networks = [getattr(layer.parameters, name) for name in NESTED[layer.type]]
        places = [_inside(layer, name) for name in NESTED[layer.type]]
        pairs = list(zip(networks, places, strict=True))
        owner = Owner(layer.models, (*layer.around, layer.live))
        if layer.type == "branch":
            return merged(self._network(*pair, owner, scope) for pair in pairs)
        # A turn may read what the one before it bound; once that is noted, another walk brings nothing new.
        turns = 1 if places[-1] in self._known else 2
        for _ in range(turns):
            inner = scope
            for pair in pairs:
                inner = self._network(*pair, owner, inner)
            scope = merged((scope, inner))
        self._read(layer, 0, scope.get(layer.parameters.conditionVar, frozenset()))
        return scope

    def _read(self, layer: Layer, number: int, sources: Iterable[Layer | None]) -> None:
        for source in sources:
            if source is None:
                self.reading_input.add(layer)
            elif source.type in CONSTANTS:
                self.uses[source][layer, number] = None
            else:
                self.flows[source, layer] = None


def merged(scopes: Iterable[Scope]) -> Scope:
    """What names stand for after one of several ways."""
    found: Scope = {}
    for scope in scopes:
        for blob, layers in scope.items():
            found[blob] = found.get(blob, frozenset()) | layers
    return found


def _labelled(messages: Any, place: Key, owner: Owner) -> Iterator[Layer]:
    """Layers by their names, or their types; those of equal names are numbered from the second on."""
    seen: Counter[str] = Counter()
    taken: set[str] = set()
    for message in messages:
        kind = message.WhichOneof("layer") or "unknown"
        label = name = str(message.name or kind)
        seen[label] = max(seen[label], 1)
        while name in taken:  # by a layer of this name, or one whose own name looks numbered
            seen[label] += 1
            name = f"{label}#{seen[label]}"
        taken.add(name)
        at = Key(place.function, place.block, name)
        yield Layer(at, kind, message, owner.models, messages, owner.around)


def _inside(layer: Layer, name: str) -> Key:
    return Key(layer.at.function, (*layer.at.block, f"{layer.at.name}.{name}"), "")


def places(layer: Layer, path: str) -> Mapping[str, Any]:
    """The messages that a path of the table leads to, by the path with numbers in it."""
    found = {"": layer.parameters}
    for step in path.split("."):
        name = step.removesuffix("[]")
        found = {
            way: message
            for before, parent in found.items()
            for way, message in _step(f"{before}.{name}".lstrip("."), parent, name, repeated=step != name)
        }
    return found


def _step(way: str, parent: Any, name: str, *, repeated: bool) -> Iterator[tuple[str, Any]]:
    if repeated:
        yield from ((f"{way}[{number}]", each) for number, each in enumerate(getattr(parent, name)))
    elif parent.HasField(name):
        yield way, getattr(parent, name)
