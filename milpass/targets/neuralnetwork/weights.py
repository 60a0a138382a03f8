"""The weights of neural networks, without their values, and the messages that hold them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from math import prod
from typing import TYPE_CHECKING, Any

from milpass.errors import ModelError
from milpass.records import Record
from milpass.roles import WEIGHT_ROLES
from milpass.targets.neuralnetwork import values
from milpass.targets.neuralnetwork.edit import Held, NetworkEdit
from milpass.targets.neuralnetwork.layers import CONSTANTS, INPUT_ROLES, TABLE, Field
from milpass.targets.neuralnetwork.networks import Layer, Networks, places
from milpass.weight import Key, Reader, Source, Weight

if TYPE_CHECKING:
    from milpass.graph import Graph

# protobuf reads 100 messages one inside another: a network in a layer takes three, as a pipeline around it
# does at most; what is compressed, in the deepest of layers, has seven more.
MAX_NETWORKS = 31
UPDATABLE = "it is marked updatable: the device trains it, as plain numbers"


class NetworkWeights:
    """Every weight of every layer, in the order of the layers; raises `ModelError` for an unsound one.

    `where` is how errors name the model, `graph` gives the data flow of all of it.
    """

    def __init__(self, networks: Networks, where: str, graph: Callable[[], Graph]) -> None:
        self._networks = networks
        self._where = where
        self._whole = graph
        self.held: Held = {}
        self.weights = tuple(self._find_weights())

    def record(self, weight: Weight) -> Record:
        """What stores an already compressed weight."""
        assert weight.encoded
        axis = weight.channels.output
        return values.record_of(self.held[weight.key][1], weight.encoded, weight.shape, axis)

    def edit(self) -> NetworkEdit:
        """What puts records in their places."""
        return NetworkEdit(self.held)

    def layer_counts(self) -> Counter[str]:
        """How often each type of layer occurs, in all networks."""
        return Counter(layer.type for layer in self._networks.layers)

    def graph(self) -> Graph:
        """The data flow of the layers; loads networkx."""
        from milpass.graph import Graph, Node

        found = self._networks
        bearing = {r.at for w in self.weights for r in w.readers if r.role in WEIGHT_ROLES}
        nodes = [
            Node(
                layer.at,
                layer.type,
                layer.live.name,
                layer in found.reading_input,
                layer in found.giving_output,
                layer.at in bearing,
            )
            for layer in found.layers
            if layer.type not in CONSTANTS
        ]
        return Graph(nodes, [(source.at, reader.at) for source, reader in found.flows])

    def _find_weights(self) -> Iterator[Weight]:
        self._check_depth()
        for layer, row, key, message in fields_of(self._networks):
            try:
                weight = self._weight(layer, row, key, message)
            except ValueError as error:
                raise self._unsound(key, str(error)) from None
            if weight is not None:
                self.held[key] = (layer, message)
                yield weight

    def _weight(self, layer: Layer, row: Field, key: Key, message: Any) -> Weight | None:
        stored = values.stored_field(message)
        if stored is None:
            return None
        shape = row.shape(layer.parameters) if row.shape else (values.stored_size(message, stored),)
        size = prod(shape) if row.shape else None
        values.check_size(message, stored, prod(shape))
        updatable = layer.live.isUpdatable or message.isUpdatable
        return Weight(
            key,
            shape,
            "fp32",
            Source("", len(self.held)),
            self._readers(layer, row, key),
            encoded=values.encoding_of(message, stored, size),
            barred=UPDATABLE if updatable else row.barred,
            is_one_channel=row.role not in WEIGHT_ROLES,
            load=lambda: values.load(message).reshape(shape),
            graph=self._whole,
            layers=(*layer.around, layer.live),
        )

    def _readers(self, layer: Layer, row: Field, key: Key) -> tuple[Reader, ...]:
        """The layer itself; of a constant those that take it."""
        if layer.type not in CONSTANTS:
            path = key.name.removeprefix(f"{layer.at.name}/")
            axes = row.axes(layer.parameters)
            return (Reader(layer.type, layer.live.name, path, row.role, at=layer.at, axes=axes),)
        return tuple(
            Reader(
                reader.type,
                reader.live.name,
                f"input[{number}]",
                INPUT_ROLES.get((reader.type, number)),
                through=(layer.type,),
                at=reader.at,
            )
            for reader, number in self._networks.uses.get(layer, ())
        )

    def _check_depth(self) -> None:
        deepest = max(
            (len(each.at.block) + len(each.models) - 1 for each in self._networks.layers), default=0
        )
        if deepest > MAX_NETWORKS:
            raise ModelError(
                self._where,
                who="milpass",
                cannot="read the model",
                got=f"networks one inside another, more than {MAX_NETWORKS} deep",
                needs="a sound neural network",
            )

    def _unsound(self, key: Key, got: str) -> ModelError:
        return ModelError(
            f"{self._where}, weight {key.label}",
            who="milpass",
            cannot="read the model",
            got=got,
            needs="values as its layer says",
        )


def fields_of(networks: Networks) -> Iterator[tuple[Layer, Field, Key, Any]]:
    """The messages that may hold weights: the layer, the row of the table, the key, the message."""
    for layer in networks.layers:
        for row in TABLE.get(layer.type, ()):
            if row.used(layer.parameters):
                for path, message in places(layer, row.path).items():
                    key = Key(layer.at.function, layer.at.block, f"{layer.at.name}/{path}")
                    yield layer, row, key, message
