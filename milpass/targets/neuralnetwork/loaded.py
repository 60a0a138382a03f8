"""A neural network that stands in memory: coremltools' `MLModel`, read through its message."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from milpass.targets.base import Check, Edit
from milpass.targets.members import NETWORKS, PIPELINES
from milpass.targets.mlpackage.unchanged import InputFiles
from milpass.targets.neuralnetwork.copying import copied
from milpass.targets.neuralnetwork.edit import CollectingEdit, Held
from milpass.targets.neuralnetwork.model import NeuralNetwork
from milpass.targets.neuralnetwork.networks import Networks
from milpass.targets.neuralnetwork.weights import fields_of


def is_loaded_network(model: Any) -> bool:
    """Whether an `MLModel` is a neural network, or a pipeline without weight files."""
    kind = model._spec.WhichOneof("Type")  # `get_spec` copies it
    return kind in NETWORKS or (kind in PIPELINES and model.weights_dir is None)


class LoadedNetwork(NeuralNetwork):
    """An `MLModel`: edits of it in memory count, its file does not; the result is another one.

    Its message is read as it stands, and copied without the values that are stored anew.
    """

    def __init__(self, model: Any) -> None:
        self._loaded = model
        self._original = model._spec
        super().__init__(self._original, None, InputFiles())

    @property
    def name(self) -> str:
        """How errors name the model."""
        return "the MLModel"

    def destination(self, out: Path | None) -> Path | None:
        """The place that was named, if any: without one the result is in memory alone."""
        return super().destination(out) if out else None

    def result(self, out: Path | None) -> Any:
        """The copy as an `MLModel`, loaded as the original was."""
        given = self._loaded
        return sys.modules["coremltools"].models.MLModel(
            self._message if out is None else str(out),
            skip_model_load=given.__proxy__ is None,
            compute_units=given.compute_unit,
        )

    def fold_batchnorm(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Fold layers of a copy: the model that was given stays as it is."""
        self._message = self._original = copied(self._original, set())
        self._look()
        return super().fold_batchnorm()

    def _reopened(self) -> NeuralNetwork:
        """The model as it stands in memory, to be read; the message of this one, a copy, has been edited."""
        return LoadedNetwork(self._loaded)

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
        """Write a copy to `out`, or edit a copy in memory."""
        if out is not None:
            self._message, self._found.held = self._copied(set())
            with super().editing(
                out, overwrite=overwrite, raise_to=raise_to, check=check, resume=resume
            ) as edit:
                yield edit
            return
        collected = CollectingEdit()
        yield collected
        self._message, held = self._copied({id(self._found.held[key][1]) for key in collected.records})
        collected.carry_out(held)
        if check:
            check(self._source(), NeuralNetwork(self._message, None, InputFiles()))

    def _copied(self, left_out: set[int]) -> tuple[Any, Held]:
        """A copy of the message without the values of some weights, and what holds each weight in it."""
        copy = copied(self._original, left_out)
        found = {key: (layer, message) for layer, _, key, message in fields_of(Networks.of(copy))}
        return copy, {key: found[key] for key in self._found.held}
