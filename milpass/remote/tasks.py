"""What is sent to whoever searches: where the values of a weight lie, and the text of its fits; no array."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from milpass.findings.chains import has_importance, is_divided
from milpass.findings.keys import fingerprint, texts
from milpass.jobs import Job
from milpass.links import Fit, links
from milpass.remote.worker import TYPES, Task
from milpass.targets import Target
from milpass.weight import ITEMSIZES, Weight


def task_of(target: Target, job: Job, legal: Mapping[str, Sequence[int]]) -> Task | None:
    """What a worker needs to know for the searches of a job; None for one that is carried out here.

    Here stay weights that lie in no file, fits that search for nothing, and those that call functions of the
    user's own, which others need not have.
    """
    weight, fits = job.weight, job.fits
    if weight.dtype not in TYPES or not is_divided(fits) or any(map(has_importance, fits)):
        return None
    place = target.stored_at(weight)
    if place is None:
        return None
    path, offset = place
    return {
        "by": fingerprint(),
        "name": weight.name,
        "path": str(path),
        "offset": offset,
        "type": TYPES[weight.dtype],
        "shape": list(weight.shape),
        "axes": [list(axes) for axes in _axes(weight)],
        "fits": texts(fits),
        "legal": {kind: list(bits) for kind, bits in legal.items()},
    }


def _axes(weight: Weight) -> list[tuple[int, int]]:
    """What its readers say of the axes of its channels."""
    return sorted({reader.axes for reader in weight.readers if reader.axes is not None})


def answer_size(weight: Weight, fits: Sequence[Fit]) -> int:
    """About the bytes of what searches for a chain find."""
    return sum(
        prod(link.tables) * ITEMSIZES[weight.dtype]
        if link.encoding == "lut" and link.tables
        else 16 * prod(link.groups)
        for link in links(weight, fits)
    )
