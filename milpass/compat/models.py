"""Carrying a pipeline out on an `MLModel`, and telling what was left, as coremltools would."""

from __future__ import annotations

import logging
from typing import Any

from coremltools.converters.mil.frontend.milproto.load import load
from coremltools.models import MLModel

from milpass.errors import NothingCompressed
from milpass.passes import Pass
from milpass.pipeline import Pipeline, apply
from milpass.plan import REFUSED_AFTER_CHOICE, Plan, Skipped

# Below coremltools' own, whose warnings people see, or have learnt to filter.
LOGGER = logging.getLogger("coremltools.milpass")

# What coremltools says where milpass gives this reason.
_THEIR_WORDS = {
    "more than 256 distinct values": "Unique values in weight cannot be represented by 8 bits palettization.",
}


class CompressedModel(MLModel):  # type: ignore[misc]
    """An `MLModel` whose PyMIL program is made when it is asked for."""

    _made: Any = None

    @property
    def _mil_program(self) -> Any:
        if self._made is None:
            spec = self.get_spec()
            self._made = load(
                model_spec=spec,
                specification_version=spec.specificationVersion,
                file_weights_dir=self.weights_dir,
            )
        return self._made

    @_mil_program.setter
    def _mil_program(self, program: Any) -> None:
        self._made = program


def carried_out(pipeline: Pipeline | Pass, mlmodel: Any) -> Any:
    """The model after a pipeline, a copy of it where nothing changes; what was left is logged."""
    try:
        model, plan = apply(pipeline, mlmodel)
    except NothingCompressed as nothing:
        model, plan = _copied(mlmodel), nothing.plan
    tell(plan)
    program, model.__class__ = model.__dict__.pop("_mil_program", None), CompressedModel
    model._mil_program = program
    return model


def _copied(mlmodel: Any) -> Any:
    return MLModel(
        mlmodel.get_spec(),
        weights_dir=mlmodel.weights_dir,
        compute_units=mlmodel.compute_unit,
        skip_model_load=mlmodel.__proxy__ is None,
    )


def tell(plan: Plan, *others: str) -> None:
    """Log why chosen weights were left, and those that are left for other reasons, by their codes."""
    for row in plan.skipped:
        if isinstance(row.entry, Skipped) and row.entry.code in (*REFUSED_AFTER_CHOICE, *others):
            theirs = _THEIR_WORDS.get(row.entry.reason, "")
            LOGGER.warning("%s: %s. Skipped. %s", row.weight.name, row.entry.reason, theirs)
