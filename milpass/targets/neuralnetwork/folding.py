"""Folding per-channel layers into the convolution or inner product before them.

After `y = W x + b` a batchnorm, scale or bias layer is `y' = s y + t` with a number of each for every output
channel, so `W' = s W` and `b' = s b + t` say the same in one layer.
Source: the comments of `BatchnormLayerParams`, `ScaleLayerParams` and `BiasLayerParams` in Core ML's
NeuralNetwork.proto.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from milpass.targets.neuralnetwork import values
from milpass.targets.neuralnetwork.layers import NESTED, TABLE
from milpass.targets.neuralnetwork.networks import Layer, Networks

# The first of the two ways in which networks map shapes: all tensors have five axes, channels the third.
FIVE_AXES = 0


class Unfoldable(Exception):
    """A layer that says something else than one number for each channel; the message is the reason."""


@frozen(eq=False)
class Channelwise:
    """y' = scale * y + shift, a number of each for every channel, or one for all; float64."""

    scale: NDArray[np.float64]
    shift: NDArray[np.float64]


def _plain(message: Any) -> NDArray[np.float64]:
    if values.stored_field(message) != "floatValue":
        raise Unfoldable("weights that are no plain fp32 numbers")
    return values.load(message).astype(np.float64)


def _channels(message: Any, shape: Any) -> NDArray[np.float64]:
    """The numbers of a layer that has one for all, or one for each channel."""
    lengths = tuple(map(int, shape))
    if len(lengths) not in (1, 3) or any(length != 1 for length in lengths[1:]):
        raise Unfoldable(f"numbers of shape {list(lengths)}, not one a channel")
    return _plain(message)


def _batchnorm(parameters: Any) -> Channelwise:
    if parameters.computeMeanVar or parameters.instanceNormalization:
        raise Unfoldable("a mean and a variance of its input")
    if parameters.gamma.isUpdatable or parameters.beta.isUpdatable:
        raise Unfoldable("weights that the device trains")
    gamma, beta, mean, variance = (
        _plain(getattr(parameters, name)) for name in ("gamma", "beta", "mean", "variance")
    )
    with np.errstate(all="ignore"):
        scale = gamma / np.sqrt(variance + parameters.epsilon)
    return Channelwise(scale, beta - mean * scale)


def _scale(parameters: Any) -> Channelwise:
    shift = _channels(parameters.bias, parameters.shapeBias) if parameters.hasBias else np.zeros(1)
    return Channelwise(_channels(parameters.scale, parameters.shapeScale), shift)


def _bias(parameters: Any) -> Channelwise:
    return Channelwise(np.ones(1), _channels(parameters.bias, parameters.shape))


# layer type -> what it does to each channel
FOLDED: dict[str, Callable[[Any], Channelwise]] = {"batchnorm": _batchnorm, "scale": _scale, "bias": _bias}


def _spread_over_kernel(parameters: Any, scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """The scale of each output channel in the places of a kernel, [C_out, C_in / groups, H, W].

    Of a deconvolution it is [C_in, C_out / groups, H, W]: the inputs of a group have its outputs alone.
    """
    if not parameters.isDeconvolution:
        return scale[:, None, None, None]
    groups = max(int(parameters.nGroups), 1)
    inputs, left = divmod(int(parameters.kernelChannels), groups)
    if left or scale.size % groups:
        raise Unfoldable(f"channels that make no {groups} even groups")
    return np.repeat(scale.reshape(groups, -1), inputs, axis=0)[:, :, None, None]


# layer type -> the scale of each output channel in the places of its weights
FOLDING: dict[str, Callable[[Any, NDArray[np.float64]], NDArray[np.float64]]] = {
    "convolution": _spread_over_kernel,
    "innerProduct": lambda parameters, scale: scale[:, None],
}


def fold(model: Any) -> tuple[list[str], list[str]]:
    """Fold what can be folded in every network of a model, in place.

    Gives the names of the layers that are gone, and a sentence for each that stays though it follows such a
    layer.
    """
    folded: list[str] = []
    while True:  # a chain becomes shorter by a layer each time
        gone, reasons = _folded_once(model)
        folded += [_called(layer) for layer in gone]
        if not gone:
            return folded, reasons
        _remove(gone)


def _folded_once(model: Any) -> tuple[list[Layer], list[str]]:
    """Fold a layer into each that allows it: those to be removed, and a sentence for each that stays.

    No layer stands in two pairs, so what is folded into one changes nothing for the others.
    """
    gone, reasons = [], []
    for layer, after in _pairs(Networks.of(model)):
        try:
            _fold(layer, after)
        except Unfoldable as reason:
            reasons.append(f"{_called(after)} is not folded into {_called(layer)}: {reason}.")
        else:
            gone.append(after)
    return gone, reasons


def _called(layer: Layer) -> str:
    return str(layer.live.name or layer.type)


def _remove(gone: list[Layer]) -> None:
    """Take layers out of their networks."""
    for network in {id(layer.network): layer.network for layer in gone}.values():
        live = {id(layer.live) for layer in gone if layer.network is network}
        for place in [n for n, each in enumerate(network) if id(each) in live][::-1]:
            del network[place]


def _pairs(networks: Networks) -> Iterator[tuple[Layer, Layer]]:
    """Layers whose result is read by one alone, which may be folded into them, with that one."""
    readers: dict[Layer, list[Layer]] = defaultdict(list)
    sources: Counter[Layer] = Counter()
    for source, reader in networks.flows:
        readers[source].append(reader)
        sources[reader] += 1
    for layer in networks.layers:
        after = readers[layer][0] if len(readers[layer]) == 1 else None
        if layer.type not in FOLDING or after is None or after.type not in FOLDED:
            continue
        is_hidden = layer not in networks.giving_output and not _named(layer) & set(layer.live.output)
        is_only = sources[after] == 1 and after not in networks.reading_input
        if is_hidden and is_only and _stand_together(layer, after):
            yield layer, after


def _named(layer: Layer) -> set[str]:
    """The results that a network names elsewhere: a classifier's probabilities, what is trained on."""
    model = layer.models[-1]
    network = getattr(model, model.WhichOneof("Type"))
    losses = (each for each in network.updateParams.lossLayers) if hasattr(network, "updateParams") else ()
    kinds = ((loss, loss.WhichOneof("LossLayerType")) for loss in losses)
    inputs = {getattr(loss, kind).input for loss, kind in kinds if kind}
    return inputs | {getattr(network, "labelProbabilityLayerName", "")}


def _stand_together(layer: Layer, after: Layer) -> bool:
    """Whether they are in one network, and nothing between them uses the name of the second one's result."""
    lengths = len(layer.live.output), len(after.live.input), len(after.live.output)
    if layer.network is not after.network or lengths != (1, 1, 1):
        return False
    messages = layer.network[_place(layer) + 1 : _place(after)]
    names = {name for each in messages for name in (*each.input, *each.output)}
    return after.live.output[0] not in names and not any(m.WhichOneof("layer") in NESTED for m in messages)


def _place(layer: Layer) -> int:
    """Its number in its network."""
    return next(n for n, each in enumerate(layer.network) if each is layer.live)


def _fold(layer: Layer, after: Layer) -> None:
    """Make one layer of two; raises `Unfoldable`, and nothing is changed."""
    if layer.live.isUpdatable or after.live.isUpdatable:
        raise Unfoldable("the device trains its weights")
    if len(layer.live.input) != 1:
        raise Unfoldable("another layer gives its kernel")
    _check_channels(layer, after)
    weights, bias = _folded(layer, FOLDED[after.type](after.parameters))
    parameters = layer.parameters
    values.store_plain(parameters.weights, weights)
    parameters.hasBias = True
    values.store_plain(parameters.bias, bias)
    layer.live.output[0] = after.live.output[0]


def _check_channels(layer: Layer, after: Layer) -> None:
    """Refuse other channels, and an inner product whose outputs may lie along another axis than they do."""
    model = layer.models[-1]
    mapping = getattr(model, model.WhichOneof("Type")).arrayInputShapeMapping
    if layer.type == "innerProduct" and mapping != FIVE_AXES:
        raise Unfoldable("tensors of any rank, whose channels may lie along another axis than its outputs")
    given = int(layer.parameters.outputChannels)
    wanted = int(getattr(after.parameters, "channels", given))  # scales and biases may be one for all
    if given != wanted:
        raise Unfoldable(_unequal(wanted, given))


def _unequal(wanted: int, given: int) -> str:
    return f"numbers for {wanted} of {given} channels"


def _folded(layer: Layer, found: Channelwise) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The weights, of their shape, and the biases of the layer that does both."""
    parameters, channels = layer.parameters, int(layer.parameters.outputChannels)
    if {found.scale.size, found.shift.size} - {1, channels}:
        raise Unfoldable(_unequal(max(found.scale.size, found.shift.size), channels))
    scale, shift = (np.broadcast_to(each, (channels,)) for each in (found.scale, found.shift))
    shape = TABLE[layer.type][0].shape
    assert shape is not None
    kernel = _plain(parameters.weights).reshape(shape(parameters))
    before = _plain(parameters.bias) if parameters.hasBias else np.zeros(channels)
    with np.errstate(all="ignore"):
        weights = (kernel * FOLDING[layer.type](parameters, scale)).astype(np.float32)
        bias = (before * scale + shift).astype(np.float32)
    if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
        raise Unfoldable("the result would not be finite")
    return weights, bias
