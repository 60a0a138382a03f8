"""Small neural networks made of raw protobuf messages, and numpy's reading of them, without milpass' own."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from milpass import (
    fit_affine,
    fit_cast,
    fit_lut,
    replace_const_with_affine,
    replace_const_with_cast,
    replace_const_with_lut,
    select_weights,
)
from milpass.selectors import anything
from milpass.targets import open_target, protobuf
from milpass.weight import Weight

RNG = np.random.default_rng(11)

EVERYTHING = select_weights(threshold=0, where=anything)
LUT = EVERYTHING | fit_lut(nbits=3) | replace_const_with_lut()
AFFINE = EVERYTHING | fit_affine(nbits=4) | replace_const_with_affine()
CAST = EVERYTHING | fit_cast() | replace_const_with_cast()


def weights_of(path: Path) -> dict[str, Weight]:
    """The weights that milpass finds, by name."""
    return {weight.name: weight for weight in open_target(path).weights()}


def new_model(kind: str = "neuralNetwork", version: int = 1) -> Any:
    """An empty model of a kind, with an input `x` and an output `y`."""
    model = protobuf.parse_model(b"", "an empty model")
    model.specificationVersion = version
    getattr(model, kind).SetInParent()
    model.description.input.add().name = "x"
    model.description.output.add().name = "y"
    return model


def network_of(model: Any) -> Any:
    """The network of a model that is one."""
    return getattr(model, model.WhichOneof("Type"))


def add(network: Any, kind: str, name: str, sources: str = "", results: str = "") -> Any:
    """A layer between blobs, told by their names with spaces between; its parameters, to be filled."""
    layer = network.layers.add()
    layer.name = name
    layer.input.extend(sources.split())
    layer.output.extend(results.split())
    getattr(layer, kind).SetInParent()
    return getattr(layer, kind)


def fill(weights: Any, *shape: int, scale: float = 0.1) -> np.ndarray:
    """Random values in a `WeightParams` message."""
    array = (RNG.standard_normal(shape) * scale).astype(np.float32)
    weights.floatValue.extend(array.reshape(-1).tolist())
    return array


def add_product(
    network: Any,
    name: str,
    source: str,
    result: str,
    outputs: int = 8,
    inputs: int = 16,
    *,
    bias: bool = True,
) -> Any:
    """An inner product with random weights."""
    parameters = add(network, "innerProduct", name, source, result)
    parameters.inputChannels, parameters.outputChannels, parameters.hasBias = inputs, outputs, bias
    fill(parameters.weights, outputs, inputs)
    if bias:
        fill(parameters.bias, outputs)
    return parameters


def add_convolution(network: Any, name: str, source: str, result: str, **fields: Any) -> Any:
    """A convolution of 6 output and 4 input channels, 3 x 2, with random weights."""
    parameters = add(network, "convolution", name, source, result)
    parameters.outputChannels, parameters.kernelChannels = 6, 4
    parameters.kernelSize.extend([3, 2])
    parameters.hasBias = True
    for field, value in fields.items():
        setattr(parameters, field, value)
    groups = max(parameters.nGroups, 1)
    deconvolution = (parameters.kernelChannels, 6 // groups, 3, 2)
    fill(parameters.weights, *(deconvolution if parameters.isDeconvolution else (6, 4, 3, 2)))
    fill(parameters.bias, 6)
    return parameters


def small(kind: str = "neuralNetwork") -> Any:
    """A convolution, an activation and an inner product."""
    model = new_model(kind)
    network = network_of(model)
    add_convolution(network, "conv", "x", "a")
    add(network, "activation", "relu", "a", "b").ReLU.SetInParent()
    add_product(network, "fc", "b", "y")
    return model


def saved(model: Any, path: Path) -> Path:
    """The model as a file."""
    path.write_bytes(model.SerializeToString(deterministic=True))
    return path


def parsed(path: Path) -> Any:
    """The message of a file."""
    return protobuf.parse_model(path.read_bytes(), str(path))


def weight_messages(message: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every `WeightParams` below a message with something in it, as `layer/field`."""
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None or descriptor.message_type.GetOptions().map_entry:
            continue
        repeated = not hasattr(value, "ListFields")
        for number, each in enumerate(value if repeated else [value]):
            step = f"{descriptor.name}[{number}]" if repeated else descriptor.name
            place = f"{path}.{step}" if path[-1:] not in ("", "/") else f"{path}{step}"
            if descriptor.message_type.name == "WeightParams":
                yield place, each
            elif descriptor.message_type.name == "NeuralNetworkLayer":
                kind = each.WhichOneof("layer")
                yield from weight_messages(getattr(each, kind), f"{each.name}/") if kind else ()
            else:
                yield from weight_messages(each, place)


def numpy_values(weights: Any, shape: tuple[int, ...], axis: int = 0) -> np.ndarray:
    """What a `WeightParams` message stands for, fp32; scales of channels along an axis."""
    if len(weights.floatValue):
        return np.array(list(weights.floatValue), np.float32).reshape(shape)
    if weights.float16Value:
        return np.frombuffer(weights.float16Value, np.float16).astype(np.float32).reshape(shape)
    nbits, quantization = weights.quantization.numberOfBits, weights.quantization
    if weights.int8RawValue:
        numbers = np.frombuffer(weights.int8RawValue, np.int8)
    else:
        bits = np.unpackbits(np.frombuffer(weights.rawValue, np.uint8))[: prod(shape) * nbits]
        numbers = (bits.reshape(-1, nbits) * (1 << np.arange(nbits)[::-1])).sum(axis=1)
    numbers = numbers.reshape(shape)
    if quantization.WhichOneof("QuantizationType") == "lookupTableQuantization":
        return np.array(list(quantization.lookupTableQuantization.floatValue), np.float32)[numbers]
    scale = np.array(list(quantization.linearQuantization.scale), np.float32)
    bias = np.array(list(quantization.linearQuantization.bias) or [0], np.float32)
    along = tuple(-1 if place == axis else 1 for place in range(len(shape)))
    scale, bias = (each.reshape(along) if each.size > 1 else each for each in (scale, bias))
    return numbers.astype(np.float32) * scale + bias
