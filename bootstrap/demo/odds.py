"""A choice among codes by weight, for whole arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Odds:
    """Consecutive codes, from `first` on, each with its weight."""

    def __init__(self, weights: Sequence[float], first: int = 0) -> None:
        cumulated = np.cumsum(np.array(weights, dtype=np.float64))
        self._bounds = cumulated / cumulated[-1]
        self._first = first

    def at(self, luck: Floats) -> npt.NDArray[np.int16]:
        """Return a code for each number between 0 and 1."""
        codes = np.searchsorted(self._bounds, luck, side="right")
        return (codes + self._first).astype(np.int16)

    def draw(self, generator: np.random.Generator, size: int) -> npt.NDArray[np.int16]:
        """Return so many codes."""
        return self.at(generator.random(size))
