"""Sound neural networks to be damaged, and damage to their layers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from attrs import evolve

from milpass import apply, parse
from milpass.targets import protobuf
from tests.every_layer import every_layer
from tests.fuzzing.octets import NUMBERS
from tests.fuzzing.samples import DIGITS, MODEL, Sample
from tests.networks import add, add_product, network_of, new_model, saved, small, weight_messages

MANIFEST = "Manifest.json"
NESTED = (("loop", "bodyNetwork"), ("branch", "ifBranch"), ("branch", "elseBranch"))
CHOSEN = "select_weights(threshold=0, where=anything)"
COMPRESSED = {
    "network_tables": f"{CHOSEN} | fit_lut(mode='uniform', nbits=3) | replace_const_with_lut()",
    "network_numbers": f"{CHOSEN} | fit_affine(nbits=5) | replace_const_with_affine()",
    "network_halves": f"{CHOSEN} | fit_cast() | replace_const_with_cast()",
    "network_int8": "select_weights(threshold=0, where=op_type('innerProduct') & role('weight')) | "
    "fit_affine(mode='dynamic', granularity=PerTensor()) | replace_const_with_affine()",
}


@cache
def networks() -> tuple[Sample, ...]:
    """All of them, as packages; the same messages each time."""
    models = {
        "network": every_layer(),
        "classifier": small("neuralNetworkClassifier"),
        "regressor": small("neuralNetworkRegressor"),
        "turns": _with_turns(),
    }
    with tempfile.TemporaryDirectory(prefix="milpass-networks-") as name:
        for model in models.values():
            _fill(model)
        source = saved(models["network"], Path(name) / "source.mlmodel")
        for each, text in COMPRESSED.items():
            out, _ = apply(parse(text), source, Path(name) / f"{each}.mlmodel", threads=1)
            models[each] = protobuf.parse_model(out.read_bytes(), each)
    manifest = (DIGITS / MANIFEST).read_bytes()
    octets = {each: model.SerializeToString(deterministic=True) for each, model in models.items()}
    return tuple(Sample(each, {MODEL: data, MANIFEST: manifest}) for each, data in octets.items())


def _fill(model: Any) -> None:
    """Values that do not depend on what was made before."""
    random = np.random.default_rng(0)
    for _, weights in weight_messages(model):
        values = random.standard_normal(len(weights.floatValue)).astype(np.float32)
        del weights.floatValue[:]
        weights.floatValue.extend(values.tolist())


def _with_turns() -> Any:
    """Weights inside a loop in a branch, and blobs that are bound again."""
    model = new_model()
    branch = add(network_of(model), "branch", "branch", "x")
    loop = add(branch.ifBranch, "loop", "loop")
    loop.conditionVar = "go"
    add(loop.conditionNetwork, "lessThan", "test", "x", "go")
    add_product(loop.bodyNetwork, "body", "x", "t")
    add(loop.bodyNetwork, "copy", "carry", "t", "x")
    add_product(branch.elseBranch, "no", "x", "y")
    return model


def in_file(sample: Sample) -> Sample:
    """The sample's model in a file of its own."""
    return evolve(sample, is_file=True)


def damaged_network(sample: Sample, random: Random) -> Sample:
    """A network with a few layers, or what they store, changed."""
    model = sample.model
    for _ in range(random.choice((1, 1, 2, 4))):
        found = [each for each in _networks(model) if each.layers]
        if found:
            random.choice(_CHANGES)(random.choice(found), random)
    return sample.with_file(MODEL, model.SerializeToString(deterministic=True))


def _networks(model: Any) -> Iterator[Any]:
    """Every network of a model that is one, those inside layers too."""
    kind = model.WhichOneof("Type") or ""
    waiting = [getattr(model, kind)] if kind.startswith("neuralNetwork") else []
    while waiting:
        network = waiting.pop()
        yield network
        for layer in network.layers:
            if layer.HasField("loop"):
                waiting += [layer.loop.conditionNetwork, layer.loop.bodyNetwork]
            if layer.HasField("branch"):
                waiting += [layer.branch.ifBranch, layer.branch.elseBranch]


def _stored(network: Any, random: Random) -> Any:
    """What a layer stores, None where it stores nothing."""
    found = [each for _, each in weight_messages(network)]
    return random.choice(found) if found else None


def _values(network: Any, random: Random) -> None:
    """Values that are not finite, huge, tiny, equal."""
    weights = _stored(network, random)
    value = random.choice((float("nan"), float("inf"), 3e38, 1e-45, -0.0, 1e6, 7e4))
    if weights is not None and len(weights.floatValue):
        places = range(len(weights.floatValue)) if random.random() < 0.3 else [0]
        for place in places:
            weights.floatValue[place] = value


def _bytes(network: Any, random: Random) -> None:
    """Other bytes, more or fewer of them, in another field perhaps."""
    weights = _stored(network, random)
    if weights is None:
        return
    field = random.choice(("float16Value", "rawValue", "int8RawValue"))
    kept = random.choice((weights.rawValue, weights.float16Value, weights.int8RawValue))
    size = random.choice((0, 1, len(kept), len(kept) + 1, 2 * len(weights.floatValue), 1000))
    if random.random() < 0.7:
        weights.ClearField("floatValue")
    setattr(weights, field, random.choice((kept + b"\0", kept[:-1], random.randbytes(size))))


def _numbers(network: Any, random: Random) -> None:
    """Another number of bits, of scales, of entries."""
    weights = _stored(network, random)
    if weights is None:
        return
    held = weights.quantization
    if random.random() < 0.4:
        held.numberOfBits = random.choice(NUMBERS)
    linear = held.linearQuantization if random.random() < 0.7 else None
    floats = random.choice((linear.scale, linear.bias)) if linear else held.lookupTableQuantization.floatValue
    value = random.choice((0.0, 1.0, float("nan"), 1e38))
    floats.extend([value] * random.choice((1, 1, 2, 8, 500)))


def _channels(network: Any, random: Random) -> None:
    """A number, or a flag, of a layer's own parameters."""
    layer = random.choice(network.layers)
    kind = layer.WhichOneof("layer")
    held = getattr(layer, kind) if kind else layer
    for field in held.DESCRIPTOR.fields:
        value = getattr(held, field.name)
        if isinstance(value, bool) and random.random() < 0.3:
            setattr(held, field.name, not value)
        elif isinstance(value, int) and field.enum_type is None and random.random() < 0.3:
            setattr(held, field.name, random.choice((*NUMBERS, value + 1, value * 2)) % (1 << 31))


def _names(network: Any, random: Random) -> None:
    """Layers and blobs called like others, or strangely."""
    layer, other = random.choice(network.layers), random.choice(network.layers)
    layer.name = random.choice((other.name, "", "a/b", "c#2", "\x1b[2J", "n" * 5000))
    if random.random() < 0.5:
        layer.input.extend([*other.output, *layer.output])


def _twice(network: Any, random: Random) -> None:
    """A layer once more, often, or elsewhere."""
    copy = type(network.layers[0])()
    copy.CopyFrom(random.choice(network.layers))
    network.layers.extend([copy] * random.choice((1, 1, 30)))


def _updatable(network: Any, random: Random) -> None:
    weights = _stored(network, random)
    if weights is not None:
        weights.isUpdatable = True
        random.choice(network.layers).isUpdatable = True


def _nest(network: Any, random: Random) -> None:
    """The network's layers inside loops or branches, many of them perhaps."""
    for _ in range(random.choice((1, 3, 10, 20, 24, 30))):
        layer = type(network.layers[0])(name=random.choice(("", "in", "out")))
        kind, field = random.choice(NESTED)
        getattr(getattr(layer, kind), field).layers.extend(network.layers)
        del network.layers[:]
        network.layers.extend([layer])


_STORED = (_values, _bytes, _numbers, _channels)
_CHANGES = (*_STORED, *_STORED, _names, _twice, _updatable, _nest)
