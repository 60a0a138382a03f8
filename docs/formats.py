"""What each release of the format can hold, asked of the code that refuses the rest."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve

from milpass.dialects import DIALECTS, Dialect
from milpass.granularity import PerBlock, PerChannel, PerGroupedChannel, PerTensor
from milpass.links import Fit, Link, links
from milpass.passes import fit_affine, fit_cast, fit_lut, prune_weights
from milpass.passes._kinds import FittingPass
from milpass.plan import Fitted, Plan, Row, Selected
from milpass.weight import Key, Reader, Source, Weight

HEADER = """# Formats

What a release can hold, for packages and for programs inside a conversion alike, and what the layers of
neural networks (`.mlmodel`) can: numbers are the bits an index or a number takes, "yes" stands where there
is no choice, "-" where milpass refuses before a weight is read, and says why. iOS17 holds what iOS16 does,
iOS26 what iOS18 does; macOS 13 to 15 go with iOS16 to 18. Mode `linear_symmetric` has 2 bits at least.
Made by `python docs/generate.py`; every cell is encoded and decoded, or refused, in
`tests/with_coremltools/test_formats.py`, those of neural networks in `tests/test_neuralnetwork_writing.py`.
"""

SAMPLE = Weight(
    Key("main", (), "w"),
    (64, 64),
    "fp32",
    Source("", 0),
    (
        Reader("linear", "linear", "weight", "weight", axes=(0, 1)),
        Reader("innerProduct", "linear", "weights", "weight", axes=(0, 1)),
    ),
)
GRANULARITIES = (PerTensor(), PerChannel(), PerGroupedChannel(8), PerBlock(32))
ALONE = (
    *(fit_lut(nbits=8, granularity=each) for each in GRANULARITIES),
    fit_lut(nbits=8, cluster_dim=2),
    fit_lut(nbits=8, per_channel_scale=True),
    *(fit_affine(granularity=each) for each in GRANULARITIES),
    fit_affine(mode="dynamic", granularity=PerTensor()),
    prune_weights(sparsity=0.5),
    fit_cast(),
)
NESTED = (
    (prune_weights(sparsity=0.5), fit_lut(nbits=8, inside="sparse")),
    (prune_weights(sparsity=0.5), fit_affine(inside="sparse")),
    (fit_lut(nbits=8), fit_affine(inside="lut")),
    (prune_weights(sparsity=0.5), fit_lut(nbits=8, inside="sparse"), fit_affine(inside="lut")),
    (fit_affine(), fit_lut(nbits=8, inside="affine")),
    (fit_lut(nbits=8), prune_weights(sparsity=0.5, around="lut")),
    (fit_lut(nbits=8), fit_affine(inside="lut"), prune_weights(sparsity=0.5, around="lut")),
    (fit_lut(nbits=8, cluster_dim=2), prune_weights(sparsity=0.5, around="lut")),
    (fit_affine(), prune_weights(sparsity=0.5, around="affine")),
)


def rows() -> Iterator[tuple[str, ...]]:
    """Each chain, with what each release says of it."""
    for fits in (*((fit,) for fit in ALONE), *NESTED):
        chain = links(SAMPLE, _outermost_first(fits))
        text = " then ".join(f"`{_shown(fit)}`" for fit in fits)
        yield (text, *(_said(dialect, chain) for dialect in DIALECTS.values()))


def _outermost_first(fits: tuple[FittingPass, ...]) -> tuple[Fit, ...]:
    """The chain that passes make of a selected weight, one after the other."""
    plan = Plan((Row(SAMPLE, Selected("")),))
    for fit in fits:
        plan = fit.fold(plan)
    (row,) = plan.rows
    assert isinstance(row.entry, Fitted) and len(row.entry.fits) == len(fits)
    return row.entry.fits


def _shown(fit: object) -> str:
    """The text of a fit, its bits and mode left open."""
    return repr(fit).replace("nbits=8", "nbits").replace("mode='kmeans', ", "").replace("mode='linear', ", "")


def _said(dialect: Dialect, chain: tuple[Link, ...]) -> str:
    """The numbers of bits of the innermost link with a choice that are legal."""
    chosen = max((n for n, link in enumerate(chain) if link.nbits is not None), default=None)
    if chosen is None:
        return "yes" if dialect.refuse(chain) is None else "-"
    legal = [str(n) for n in range(1, 9) if dialect.refuse(_with_bits(chain, chosen, n)) is None]
    return ", ".join(legal) or "-"


def _with_bits(chain: tuple[Link, ...], place: int, nbits: int) -> tuple[Link, ...]:
    return tuple(evolve(link, nbits=nbits) if n == place else link for n, link in enumerate(chain))
