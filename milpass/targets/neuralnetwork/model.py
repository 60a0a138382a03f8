"""A neural network on disk, opened: its weights without their values, and pipelines of networks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from milpass.errors import ModelError, UsageError
from milpass.records import Record
from milpass.targets.base import Check, Edit, Part
from milpass.targets.members import NETWORKS, PROGRAM, members_of
from milpass.targets.mlpackage.destination import FILE, destination
from milpass.targets.mlpackage.layout import LARGEST_MODEL
from milpass.targets.mlpackage.moving import syncing
from milpass.targets.mlpackage.unchanged import InputFiles
from milpass.targets.neuralnetwork.edit import NetworkEdit
from milpass.targets.neuralnetwork.folding import fold
from milpass.targets.neuralnetwork.format import FORMAT, NetworkPart
from milpass.targets.neuralnetwork.networks import Networks
from milpass.targets.neuralnetwork.weights import NetworkWeights
from milpass.targets.protobuf import parse_model
from milpass.weight import Weight

if TYPE_CHECKING:
    from milpass.graph import Graph

# The kinds of models that are read elsewhere -> why not here.
NO_NETWORKS: dict[str | None, str] = {PROGRAM: "an ML Program without its package"}


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
        self._found = NetworkWeights(self._networks, self.name, self.graph)
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
        members = members_of(self._message)
        if not members or not all(each.kind for each in members):
            raise self._unreadable("an empty model", "a neural network")
        alone = None if members[0].around else members[0].kind
        if alone in NO_NETWORKS:
            raise self._unreadable(NO_NETWORKS[alone], "the .mlpackage folder around it")
        if alone not in (*NETWORKS, None):
            raise self._unreadable(f"a {alone}", "a neural network, or a pipeline")

    @property
    def name(self) -> str:
        """How errors name the model: its path."""
        return str(self._path)

    @property
    def format(self) -> str:
        """The one format of neural networks."""
        return FORMAT

    def weights(self) -> tuple[Weight, ...]:
        """Every weight of every layer, in the order of the layers; reads no values."""
        return self._found.weights

    def graph(self) -> Graph:
        """The data flow of the layers; loads networkx."""
        return self._graph

    @cached_property
    def _graph(self) -> Graph:
        return self._found.graph()

    def op_counts(self) -> Counter[str]:
        """How often each type of layer occurs, in all networks."""
        return Counter(layer.type for layer in self._networks.layers)

    def parts(self) -> Mapping[str, Part]:
        """The file as a whole."""
        return {"": NetworkPart()}

    def closed(self) -> tuple[Weight, ...]:
        """The members of a pipeline that are no networks."""
        others = (each for each in members_of(self._message) if each.kind not in NETWORKS)
        return tuple(each.closed(self.graph, NO_NETWORKS.get(each.kind)) for each in others)

    def stored_at(self, weight: Weight) -> None:
        """In no file of its own."""

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
        return self._found.record(weight)

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
            edit = NetworkEdit(self._found.held, kept)
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

    def _unreadable(self, got: str, needs: str) -> ModelError:
        return _unreadable(self.name, got, needs)


def _unreadable(what: str, got: str, needs: str) -> ModelError:
    return ModelError(what, who="milpass", cannot="read the model", got=got, needs=needs)
