"""Putting records in the place of weights, in the message of a model."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any, TypeAlias

from milpass.errors import UsageError
from milpass.records import Record
from milpass.targets.neuralnetwork.networks import Layer
from milpass.targets.neuralnetwork.values import SINCE, store, stored_field
from milpass.weight import Key, Weight

BOTH = {"floatValue", "float16Value"}
# Whole numbers that a layer reads as they are.
DYNAMIC = "int8RawValue"


# The layer and the message that hold each weight.
Held: TypeAlias = dict[Key, tuple[Layer, Any]]


class NetworkEdit:
    """Edits the live message: whoever reads a weight after its turn reads what is there now."""

    def __init__(self, held: Held, kept: Path | None = None) -> None:
        self.kept = kept
        self._held = held
        self._layers: dict[Layer, dict[Key, Any]] = defaultdict(dict)
        for key, (layer, message) in held.items():
            self._layers[layer][key] = message
        self._edited: dict[Layer, None] = {}

    def holds(self, weight: Weight) -> bool:
        """Whether a weight is one of these networks."""
        return weight.key in self._held

    def replace(self, weight: Weight, record: Record) -> None:
        """Store a record in the weight's place, and raise the models around it to a version that reads it."""
        layer, message = self._held[weight.key]
        if layer not in self._edited and not self._fields(layer).keys() >= BOTH:
            self._edited[layer] = None
        if DYNAMIC in (weight.encoded, record.op_type):
            layer.parameters.int8DynamicQuantize = record.op_type == DYNAMIC
        version = SINCE[store(message, record)]
        for model in layer.models:
            model.specificationVersion = max(model.specificationVersion, version)

    def check(self) -> None:
        """Refuse layers of fp16 and fp32 weights, where the values of one forbade what was asked for."""
        for layer in self._edited:
            fields = self._fields(layer)
            if fields.keys() >= BOTH:
                wide, half = (fields[each].label for each in sorted(BOTH, reverse=True))
                raise UsageError(
                    wide,
                    who="milpass",
                    cannot="write its layer",
                    got=f"values that stay fp32 beside {half} in fp16",
                    needs="one type in a layer",
                    remedy="Leave the layer out of the choice",
                )

    def _fields(self, layer: Layer) -> dict[str | None, Key]:
        """The fields that hold the values of a layer's weights, with a weight for each."""
        return {stored_field(message): key for key, message in self._layers[layer].items()}


class CollectingEdit:
    """Keeps records until all are there: the message that is read must not change."""

    kept: Path | None = None

    def __init__(self) -> None:
        self.records: dict[Key, tuple[Weight, Record]] = {}

    def replace(self, weight: Weight, record: Record) -> None:
        """Keep a record for the weight's place."""
        self.records[weight.key] = (weight, record)

    def carry_out(self, held: Held) -> None:
        """Put all records in place, in a copy whose layers and messages these are."""
        edit = NetworkEdit(held)
        for weight, record in self.records.values():
            edit.replace(weight, record)
        edit.check()
