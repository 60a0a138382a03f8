"""What becomes of one weight: loaded, fitted, spelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, log10
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen
from numpy.typing import NDArray

from milpass.composition import Composition, nbits_of
from milpass.dialects import Dialect
from milpass.encodings import Encoding
from milpass.errors import ModelError, UsageError
from milpass.fitting.fitted import FittedWeight, Mistake, NotFittable, Quality
from milpass.jobs import Job
from milpass.legality import Course
from milpass.plan import Entry, Replaced, Result, Skipped
from milpass.reading import encoding_of
from milpass.records import Record
from milpass.targets import Target
from milpass.weight import Weight

if TYPE_CHECKING:
    from milpass.findings.kept import Kept


@frozen
class Work:
    """How a job becomes what is stored."""

    target: Target
    course: Course
    kept: Kept | None = None

    def done(self, given: tuple[Job, bytes | None]) -> tuple[Record | None, Entry]:
        """What stores a job's weight, None where its values forbid it, and its entry.

        With the job comes what others have found, None where it is to be found here.
        """
        job, octets = given
        try:
            return self._done(job, octets)
        except MemoryError:
            raise ModelError(
                f"{self.target.name}, constant {job.weight.label}",
                who="milpass",
                cannot="work on its values",
                got=f"too little memory for {job.weight.size:,} of them",
                needs="more of it",
                remedy="Or fewer threads",
            ) from None

    def _done(self, job: Job, octets: bytes | None) -> tuple[Record | None, Entry]:
        weight, entry = job.weight, job.rows[0].entry
        if not isinstance(entry, Replaced):
            return self._spelled_anew(weight), entry
        try:
            found = self._fitted(weight, entry, octets)
        except NotFittable as refusal:
            return None, Skipped("data", str(refusal))
        record = self.dialect(weight).spell(found.encoding)
        result = _result(found.quality, nbits_of(found.encoding))
        return record, evolve(entry, nbytes=record.nbytes, result=result)

    def _fitted(self, weight: Weight, entry: Replaced, octets: bytes | None) -> FittedWeight:
        try:
            found = self._found(weight) if weight.encoded else None
            array = found.decoded() if found else weight.load()
            composition = self._composition(weight)
            if octets is None and self.kept is None:
                return composition.fitted(entry.fits, array, found)
            apart = self._fitted_apart(composition, entry, array, octets)
            return apart or composition.fitted(entry.fits, array, found)
        except Mistake as mistake:
            raise UsageError(
                weight.label, who=mistake.who, cannot="fit it", got=mistake.got, needs=mistake.needs
            ) from mistake.__cause__

    def _fitted_apart(
        self, composition: Composition, entry: Replaced, array: NDArray[Any], octets: bytes | None
    ) -> FittedWeight | None:
        """Fit by what is kept or found elsewhere; None for fits of which nothing is."""
        from milpass.findings.chains import Chain, is_divided  # most runs do without
        from milpass.findings.kept import fitted

        if octets is None and not is_divided(entry.fits):
            return None
        return fitted(Chain(composition, entry.fits, array), self.kept, octets)

    def dialect(self, weight: Weight) -> Dialect:
        """How it is to be spelled."""
        dialect = self.course.of(weight).dialect
        assert dialect is not None
        return dialect

    def legal(self, weight: Weight) -> Mapping[str, Sequence[int]]:
        """The numbers of bits that its format has, by kind of encoding."""
        return self.dialect(weight).legal

    def _composition(self, weight: Weight) -> Composition:
        dialect = self.dialect(weight)
        return Composition(weight, dialect.legal, has_biases=dialect.has_biases)

    def _spelled_anew(self, weight: Weight) -> Record:
        return self.dialect(weight).spell(self._found(weight))

    def _found(self, weight: Weight) -> Encoding:
        """How a weight is compressed in the model."""
        try:
            return encoding_of(self.target, weight)
        except ValueError as error:
            raise ModelError(
                f"{self.target.name}, constant {weight.label}",
                who="milpass",
                cannot="read its values",
                got=str(error),
                needs=f"a compressed constant as {self.course.of(weight).source} has it",
            ) from None


def _result(quality: Quality, nbits: int | None) -> Result:
    """The quality as the plan states it."""
    return Result(
        nbits=nbits,
        squared_error=quality.squared_error,
        max_error=quality.max_error,
        snr=_decibels(quality.signal, quality.squared_error),
        optimum=quality.optimum,
        bound=quality.bound,
        ways=quality.ways,
    )


def _decibels(signal: float, noise: float) -> float:
    """The ratio in dB; infinite without noise."""
    if noise == 0:
        return inf
    return 10 * log10(signal / noise) if signal else -inf
