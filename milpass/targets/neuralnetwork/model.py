"""A neural network on disk, opened: its weights without their values, and pipelines of networks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from milpass.errors import ModelError, UsageError
from milpass.records import Record
from milpass.roles import WEIGHT_ROLES
from milpass.targets.base import Check, Edit, Part
from milpass.targets.mlpackage.destination import FILE, destination
from milpass.targets.mlpackage.layout import LARGEST_MODEL
from milpass.targets.mlpackage.moving import syncing
from milpass.targets.mlpackage.unchanged import InputFiles
from milpass.targets.neuralnetwork import values
from milpass.targets.neuralnetwork.edit import Held, NetworkEdit
from milpass.targets.neuralnetwork.folding import fold
from milpass.targets.neuralnetwork.layers import CONSTANTS, INPUT_ROLES, TABLE, Field
from milpass.targets.neuralnetwork.networks import (
    KINDS,
    PIPELINES,
    Layer,
    Networks,
    places,
)
from milpass.targets.protobuf import parse_model
from milpass.weight import Key, Reader, Source, Weight

if TYPE_CHECKING:
    from milpass.graph import Graph

FORMAT = "NeuralNetwork"
UPDATABLE = "it is marked updatable: the device trains it, as plain numbers"


class NeuralNetwork:
    """An opened network, or pipeline of them; raises `ModelError` for anything that is no sound one."""

    def __init__(self, message: Any, path: Path | None, inputs: InputFiles) -> None:
        self._path = path
        self._message = message
        self._inputs = inputs
        self._folds = False
        self._check_kind()
        self._look()

    def _look(self) -> None:
        """Find the layers and their weights, as they stand now."""
        self._networks = Networks.of(self._message)
        self._held: Held = {}
        self._weights = tuple(self._find_weights())
        self.__dict__.pop("_graph", None)

    def fold_batchnorm(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Fold per-channel layers into those before them, in memory.

        Gives the names of the layers that are gone, and a sentence for each that had to stay.
        """
        folded, reasons = fold(self._message)
        self._folds = True
        self._look()
        return tuple(folded), tuple(reasons)

    @classmethod
    def at(cls, path: Path) -> NeuralNetwork:
        """The network in a file."""
        inputs = InputFiles()
        if (size := inputs.opening(path).stat().st_size) > LARGEST_MODEL:
            raise _unreadable(str(path), f"a file of {size:,} bytes", "one of less than 2 GiB")
        return cls(parse_model(path.read_bytes(), str(path)), path, inputs)

    def _check_kind(self) -> None:
        kind = self._message.WhichOneof("Type")
        if kind is None:
            raise self._unreadable("an empty model", "a neural network")
        if kind == "mlProgram":
            raise self._unreadable("an ML Program without its package", "the .mlpackage folder around it")
        if kind not in (*KINDS, *PIPELINES):
            raise self._unreadable(f"a {kind}", "a neural network, or a pipeline")

    @property
    def name(self) -> str:
        """How errors name the model: its path."""
        return str(self._path)

    @property
    def format(self) -> str:
        """The one format of neural networks."""
        return FORMAT

    @property
    def releases(self) -> tuple[str, ...]:
        """The one format of neural networks."""
        return (FORMAT,)

    def weights(self) -> tuple[Weight, ...]:
        """Every weight of every layer, in the order of the layers; reads no values."""
        return self._weights

    def graph(self) -> Graph:
        """The data flow of the layers; loads networkx."""
        return self._graph

    @cached_property
    def _graph(self) -> Graph:
        from milpass.graph import Graph, Node

        found = self._networks
        bearing = {r.at for w in self._weights for r in w.readers if r.role in WEIGHT_ROLES}
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

    def op_counts(self) -> Counter[str]:
        """How often each type of layer occurs, in all networks."""
        return Counter(layer.type for layer in self._networks.layers)

    def parts(self) -> Mapping[str, Part]:
        """The file as a whole."""
        return {"": self}

    def closed(self) -> tuple[Weight, ...]:
        """None: a model of another kind is refused."""
        return ()

    def stored_at(self, weight: Weight) -> None:
        """In no file of its own."""

    def hindrance(self, format: str) -> str | None:
        """Neural networks have one format, so there is none to raise them to."""
        return f"a neural network cannot become one of {format}"

    def result(self, out: Path | None) -> Any:
        """The path of the copy that was written."""
        return out

    def destination(self, out: Path | None) -> Path | None:
        """The place that was named: a file has no destination of its own."""
        if out is not None and out.suffix != ".mlpackage":
            return out
        raise UsageError(
            str(out or self.name),
            who="apply",
            cannot="write the result",
            got="the name of a package" if out else "no destination",
            needs="the path of an .mlmodel file to write",
        )

    def record(self, weight: Weight) -> Record:
        """What stores an already compressed weight."""
        assert weight.encoded
        axis = weight.channels.output
        return values.record_of(self._held[weight.key][1], weight.encoded, weight.shape, axis)

    @contextmanager
    def editing(
        self,
        out: Path | None,
        *,
        overwrite: bool,
        raise_to: Mapping[str, str],
        check: Check | None = None,
        resume: bool = False,
    ) -> Iterator[Edit]:
        """Write a copy to `out`; the opened network can be edited once."""
        assert out is not None
        writing = destination(out, source=self._path, overwrite=overwrite, resume=resume, kind=FILE)
        with writing as (file, kept):
            edit = NetworkEdit(self._held, kept)
            yield edit
            edit.check()
            file.write_bytes(self._message.SerializeToString(deterministic=True))
            with syncing(file.parent):
                self._confirm(file, check)

    def _confirm(self, file: Path, check: Check | None) -> None:
        self._inputs.check()
        if check:
            check(self._source(), NeuralNetwork.at(file))
            self._inputs.check()

    def _source(self) -> NeuralNetwork:
        """What the copy is compared with: the network as it was, and folded as this one has been."""
        source = self._reopened()
        if self._folds:
            source.fold_batchnorm()
        return source

    def _reopened(self) -> NeuralNetwork:
        """The network as it stands on disk: the message of this one has been edited."""
        assert self._path is not None
        return NeuralNetwork.at(self._path)

    def _find_weights(self) -> Iterator[Weight]:
        for layer, row, key, message in fields_of(self._networks):
            try:
                weight = self._weight(layer, row, key, message)
            except ValueError as error:
                raise self._unreadable(str(error), "values as its layer says", f", weight {key}") from None
            if weight is not None:
                self._held[key] = (layer, message)
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
            Source("", len(self._held)),
            self._readers(layer, row, key),
            encoded=values.encoding_of(message, stored, size),
            barred=UPDATABLE if updatable else row.barred,
            is_one_channel=row.role not in WEIGHT_ROLES,
            load=lambda: values.load(message).reshape(shape),
            graph=self.graph,
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

    def _unreadable(self, got: str, needs: str, where: str = "") -> ModelError:
        return _unreadable(f"{self.name}{where}", got, needs)


def fields_of(networks: Networks) -> Iterator[tuple[Layer, Field, Key, Any]]:
    """The messages that may hold weights: the layer, the row of the table, the key, the message."""
    for layer in networks.layers:
        for row in TABLE.get(layer.type, ()):
            if row.used(layer.parameters):
                for path, message in places(layer, row.path).items():
                    key = Key(layer.at.function, layer.at.block, f"{layer.at.name}/{path}")
                    yield layer, row, key, message


def _unreadable(what: str, got: str, needs: str) -> ModelError:
    return ModelError(what, who="milpass", cannot="read the model", got=got, needs=needs)
