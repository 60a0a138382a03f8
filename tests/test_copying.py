"""Copies of models' messages without the values that will be stored anew."""

from __future__ import annotations

from typing import Any

import pytest

from milpass.targets.neuralnetwork.copying import copied
from tests import networks
from tests.every_layer import every_layer


def octets(message: Any) -> bytes:
    return bytes(message.SerializeToString(deterministic=True))


def classifier() -> Any:
    """With labels, a map, empty messages that count, an updatable weight, one model inside another."""
    outer = networks.new_model("pipelineClassifier")
    outer.description.metadata.userDefined["a"] = "b"
    outer.pipelineClassifier.pipeline.names.append("first")
    inner = outer.pipelineClassifier.pipeline.models.add()
    inner.CopyFrom(networks.small("neuralNetworkClassifier"))
    inner.neuralNetworkClassifier.stringClassLabels.vector.extend(["cat", "dog"])
    inner.neuralNetworkClassifier.layers[2].innerProduct.weights.isUpdatable = True
    inner.isUpdatable = True
    image = inner.description.input.add()
    image.name = "image"
    image.type.imageType.width = 8
    image.type.isOptional = False
    branch = networks.add(inner.neuralNetworkClassifier, "branch", "fork", "y")
    networks.add_product(branch.ifBranch, "inside", "y", "z")
    branch.elseBranch.SetInParent()
    return outer


MODELS = (classifier, every_layer, networks.small, networks.new_model)


@pytest.mark.parametrize("make", MODELS)
def test_a_whole_copy_has_the_same_bytes(make: Any) -> None:
    message = make()
    assert octets(copied(message, set())) == octets(message)


@pytest.mark.parametrize("make", MODELS)
def test_what_is_left_out_is_all_that_is_missing(make: Any) -> None:
    message = make()
    before = octets(message)
    held = [each for _, each in networks.weight_messages(message)]
    left = held[::2]
    copy = copied(message, set(map(id, left)))
    assert octets(message) == before
    for each in left:
        updatable = each.isUpdatable
        each.Clear()
        if updatable:
            each.isUpdatable = True
    assert octets(copy) == octets(message)


def test_fields_of_later_releases_are_kept() -> None:
    message = networks.small()
    later = b"\xf2\xbb\x0c\x03new"  # field 25,454 with three bytes
    message.neuralNetwork.layers[0].MergeFromString(later)
    message.neuralNetwork.layers[2].innerProduct.MergeFromString(later)
    assert octets(message).count(later) == 2
    weights = message.neuralNetwork.layers[2].innerProduct.weights
    for left in (set(), {id(weights)}):
        assert octets(copied(message, left)).count(later) == 2
