"""A neural network that stands in memory: coremltools' `MLModel`, read through its message."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from milpass.targets.base import Check
from milpass.targets.members import NETWORKS, PIPELINES
from milpass.targets.mlpackage.unchanged import InputFiles
from milpass.targets.neuralnetwork.edit import NetworkEdit
from milpass.targets.neuralnetwork.model import NeuralNetwork


def is_loaded_network(model: Any) -> bool:
    """Whether an `MLModel` is a neural network, or a pipeline without weight files."""
    kind = model.get_spec().WhichOneof("Type")
    return kind in NETWORKS or (kind in PIPELINES and model.weights_dir is None)


class LoadedNetwork(NeuralNetwork):
    """An `MLModel`: edits of it in memory count, its file does not; the result is another one."""

    def __init__(self, model: Any) -> None:
        self._loaded = model
        super().__init__(model.get_spec(), None, InputFiles())

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

    def _reopened(self) -> NeuralNetwork:
        """The model as it stands in memory; the message of this one, which is a copy, has been edited."""
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
    ) -> Iterator[NetworkEdit]:
        """Write a copy to `out`, or edit a copy in memory."""
        if out is not None:
            with super().editing(
                out, overwrite=overwrite, raise_to=raise_to, check=check, resume=resume
            ) as edit:
                yield edit
            return
        edit = NetworkEdit(self._found.held)
        yield edit
        edit.check()
        if check:
            check(self._reopened(), NeuralNetwork(self._message, None, InputFiles()))
