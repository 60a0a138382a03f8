"""Models put into pipelines of models: alone, twice, beside one of another kind, pipelines in pipelines."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.fuzzing.networks import networks
from tests.fuzzing.samples import MODEL, Sample

KINDS = ("pipeline", "pipelineClassifier", "pipelineRegressor")
# Bytes of a model that is not doubled.
LARGEST = 1 << 18
NAMES = ("a", "b", "", "a/b", "0", "\x1b[2J", "n" * 400)


def in_pipeline(sample: Sample, random: Random) -> Sample:
    """The sample's model as a member of pipelines, which share its weight files."""
    model = sample.model
    for _ in range(random.choice((1, 1, 2, 15))):
        model = _around(model, random)
    return sample.with_file(MODEL, model.SerializeToString())


def _around(model: Any, random: Random) -> Any:
    made = type(model)(specificationVersion=model.specificationVersion)
    kind = random.choice(KINDS)
    pipeline = made.pipeline if kind == "pipeline" else getattr(made, kind).pipeline
    count = random.choice((1, 1, 2)) if model.ByteSize() < LARGEST else 1
    pipeline.models.extend([model] * count)
    if random.random() < 0.3:
        other = random.choice(networks()).model
        if random.random() < 0.3:
            other.identity.SetInParent()
        pipeline.models.insert(random.randrange(2), other)
    pipeline.names.extend(random.choices(NAMES, k=random.choice((0, 1, len(pipeline.models)))))
    return made
