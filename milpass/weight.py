"""One constant of a model: what is known of it without reading it."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from milpass.granularity import Channels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from milpass.graph import Graph

# Floating-point types by the field's names -> bytes an element.
ITEMSIZES: dict[str, int] = {"fp16": 2, "bf16": 2, "fp32": 4, "fp64": 8}


@frozen(order=True)
class Key:
    """Where a constant stands: function, path of nested blocks (outermost first), output name."""

    function: str
    block: tuple[str, ...]
    name: str

    def __str__(self) -> str:
        return self.name

    @property
    def member(self) -> str:
        """The place of its model in a pipeline of models, which stands before the function; else ""."""
        return self.function.rpartition("/")[0]

    @property
    def label(self) -> str:
        """Its name; in a pipeline of models after the place of its model, as in "encoder/weight"."""
        return f"{self.member}/{self.name}" if self.member else self.name


@frozen(order=True)
class Source:
    """Where the bytes of a constant lie: file (relative to the model) and offset in it.

    Constants of equal source share their bytes; the order of sources is the order of the file.
    """

    file: str
    offset: int


@frozen
class Reader:
    """One operation that uses a constant, directly or through operations that only rearrange it.

    `role` is the role of `input` in `op_type` (see `milpass.roles`), None where it has none;
    `through` names the types of the rearranging operations in between; `at` is where the operation stands,
    the key of its first result; `axes` are the constant's own axes of the operation's output and input
    channels, None where nothing tells.
    """

    op_type: str
    op_name: str
    input: str
    role: str | None = None
    through: tuple[str, ...] = ()
    at: Key | None = None
    axes: tuple[int, int] | None = None


@frozen
class Weight:
    """One floating-point constant: name, function, shape, dtype, readers with their roles.

    Knowing it costs no reading; `load()` gives its values (shape `shape`, a view of the mapped file
    where the container allows one).  `encoded` names the operation that stores it already compressed,
    `nested` those whose results that one takes, outermost first;
    `is_one_channel` says that its format has one scale for all of it, and takes a vector compressed, too;
    `barred` is the reason why nothing compressed may stand in its place; `modules` are the modules of the
    source that use it, None where its home keeps no record of them.  `closed` stands for a whole member of a
    pipeline of models that is not looked into.
    """

    key: Key
    shape: tuple[int, ...]
    dtype: str
    source: Source
    readers: tuple[Reader, ...] = ()
    encoded: str | None = None
    nested: tuple[str, ...] = ()
    barred: str | None = None
    is_one_channel: bool = False
    modules: frozenset[str] | None = None
    closed: bool = False
    _load: Callable[[], NDArray[Any]] | None = field(default=None, eq=False, repr=False)
    _graph: Callable[[], Graph] | None = field(default=None, eq=False, repr=False)
    _layers: tuple[Any, ...] = field(default=(), eq=False, repr=False)

    @property
    def name(self) -> str:
        """The constant's output name, by which its readers know it."""
        return self.key.name

    @property
    def label(self) -> str:
        """Its name; in a pipeline of models after the place of its model, as in "encoder/weight"."""
        return self.key.label

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes of its values, uncompressed."""
        return self.size * ITEMSIZES[self.dtype]

    @property
    def channels(self) -> Channels:
        """The axes of its output and input channels, by its readers; None where these do not agree."""
        if self.is_one_channel:
            return Channels(is_one=True)
        found = {reader.axes for reader in self.readers if reader.axes is not None}
        if not found:
            return Channels()
        outputs, inputs = (sorted(set(axes)) for axes in zip(*found, strict=True))
        if len(outputs) == len(inputs) == 1:
            return Channels(outputs[0], inputs[0])
        which, axes = ("output", outputs) if len(outputs) > 1 else ("input", inputs)
        return Channels(
            outputs[0] if len(outputs) == 1 else None,
            inputs[0] if len(inputs) == 1 else None,
            f"its readers have their {which} channels along axes {' and '.join(map(str, axes))}",
        )

    def load(self) -> NDArray[Any]:
        """The values, as an array of `shape` and `dtype` that must not be written to."""
        if self._load is None:
            raise LookupError(f"{self.name}: this weight was made without values")
        return self._load()

    @property
    def graph(self) -> Graph:
        """The data flow of the model that it belongs to, read-only; one and the same for all its weights."""
        if self._graph is None:
            raise LookupError(f"{self.name}: this weight was made without a graph")
        return self._graph()

    @property
    def layers(self) -> tuple[Any, ...]:
        """The live messages of the layers that hold it in a neural network, the outermost first; else ()."""
        return self._layers
