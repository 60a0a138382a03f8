"""Fewer layers before weights are chosen."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from milpass.errors import UsageError
from milpass.passes._kinds import Changes, EditingPass


@frozen(repr=False)
class fold_batchnorm(EditingPass):
    """Fold batchnorm, scale and bias layers of a neural network into the convolution or inner product before.

    That layer then does the same alone, with other weights and a bias.  A result that is an output, that
    others read too, or whose numbers are not one a channel, stays as it is.
    """

    def edit(self, target: Any) -> Changes:
        """Fold what can be folded; raises `UsageError` for anything but a neural network."""
        fold = getattr(target, "fold_batchnorm", None)
        if fold is None:
            raise UsageError(
                target.name,
                who="fold_batchnorm",
                cannot="fold its layers",
                got=f"a model of {target.format}",
                needs="an .mlmodel of a neural network",
                remedy="Leave the pass out: coremltools folds them when it converts to an ML Program",
            )
        folded, reasons = fold()
        if not folded:
            return Changes(left=reasons)
        verb = "layer is" if len(folded) == 1 else "layers are"
        return Changes((f"{len(folded)} {verb} folded into those before, {folded[0]} the first.",), reasons)
