"""The one format of neural networks."""

from __future__ import annotations

from attrs import frozen

FORMAT = "NeuralNetwork"


@frozen
class NetworkPart:
    """A neural network, or several of them: there is no other format to raise it to."""

    @property
    def format(self) -> str:
        """The one format of neural networks."""
        return FORMAT

    @property
    def releases(self) -> tuple[str, ...]:
        """The one format of neural networks."""
        return (FORMAT,)

    def hindrance(self, format: str) -> str | None:
        """Neural networks have one format, so there is none to raise them to."""
        return f"a neural network cannot become one of {format}"
