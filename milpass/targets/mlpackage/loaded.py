"""A model that stands in memory: coremltools' `MLModel`, read through its message and its weight files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from attrs import frozen

from milpass.targets.mlpackage.destination import is_temporary, temporary_destination
from milpass.targets.mlpackage.layout import DATA, MANIFEST, Layout, unreadable
from milpass.targets.mlpackage.package import Package

# What a manifest says of the two items of a model.
MODEL_ITEM = ("model.mlmodel", "CoreML Model Specification")
WEIGHTS_ITEM = ("weights", "CoreML Model Weights")
AUTHOR = "com.apple.CoreML"


def is_loaded_model(model: Any) -> bool:
    """Whether a value is an `MLModel`; asks no one to import coremltools."""
    coremltools = sys.modules.get("coremltools")
    return coremltools is not None and isinstance(model, coremltools.models.MLModel)


@frozen
class LoadedLayout(Layout):
    """The weight files of a loaded model; its manifest is made anew."""

    def files(self) -> list[Path]:
        """The weight files, relative to the package."""
        return [file for file in super().files() if file.is_relative_to(self.model.parent / "weights")]

    def complete(self, folder: Path, model: bytes) -> None:
        """Write a manifest whose identifiers derive from the model's content."""
        content = f"milpass:{model.hex()}"
        items = {
            str(uuid5(NAMESPACE_URL, f"{name}:{content}")).upper(): {
                "author": AUTHOR,
                "description": description,
                "name": name,
                "path": f"{AUTHOR}/{name}",
            }
            for name, description in (MODEL_ITEM, WEIGHTS_ITEM)
            if (folder / DATA / AUTHOR / name).exists()
        }
        root = next(iter(items))
        manifest = {"fileFormatVersion": "1.0.0", "itemInfoEntries": items, "rootModelIdentifier": root}
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=4))


class LoadedModel(Package):
    """An `MLModel`: edits of it in memory count, its file does not."""

    def __init__(self, model: Any) -> None:
        self._loaded = model
        super().__init__(_layout(model), model.get_spec())

    def _reopened(self) -> Package:
        """The model as it stands in memory."""
        return LoadedModel(self._loaded)

    @property
    def name(self) -> str:
        """How errors name the model."""
        return "the MLModel"

    def destination(self, out: Path | None) -> Path:
        """The place that was named, or a temporary package, removed when the interpreter ends."""
        return super().destination(out) if out else temporary_destination()

    def result(self, out: Path | None) -> Any:
        """The copy as an `MLModel`, loaded as the original was."""
        assert out is not None
        given = self._loaded
        return sys.modules["coremltools"].models.MLModel(
            str(out),
            is_temp_package=is_temporary(out),
            skip_model_load=given.__proxy__ is None,
            compute_units=given.compute_unit,
            function_name=given.function_name,
            optimization_hints=given.optimization_hints,
        )


def _layout(model: Any) -> LoadedLayout:
    """Where the weight files of a loaded model lie."""
    if model.weights_dir is None:
        raise unreadable("the MLModel", "a model without weight files", "an ML Program with weights")
    weights = Path(model.weights_dir)
    return LoadedLayout(weights.parents[2], weights.relative_to(weights.parents[2]).parent / MODEL_ITEM[0])
