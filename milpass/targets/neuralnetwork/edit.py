"""Putting records in the place of weights, in the message of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from milpass.records import Record
from milpass.targets.neuralnetwork.networks import Layer
from milpass.targets.neuralnetwork.values import SINCE, store
from milpass.weight import Key, Weight


class NetworkEdit:
    """Edits the live message: whoever reads a weight after its turn reads what is there now."""

    def __init__(self, held: Mapping[Key, tuple[Layer, Any]]) -> None:
        self._held = held

    def replace(self, weight: Weight, record: Record) -> None:
        """Store a record in the weight's place, and raise the models around it to the version that reads it."""
        layer, message = self._held[weight.key]
        if weight.encoded == "int8RawValue":
            layer.parameters.int8DynamicQuantize = False  # which asks for whole numbers
        version = SINCE[store(message, record)]
        for model in layer.models:
            model.specificationVersion = max(model.specificationVersion, version)
