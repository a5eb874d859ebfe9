"""Features published only shortly before tip-off: hidden from rows, and told apart by whether they are known."""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

#: Whether the announcement was out when the question was asked: each case has its own calibration.
CASES: Final = ("announced", "unannounced")


class AnnouncedConfig(Protocol):
    """A network's inputs, and the groups among them that are announced together."""

    @property
    def features(self) -> tuple[str, ...]:
        """Input columns."""
        ...

    @property
    def announced(self) -> tuple[tuple[str, ...], ...]:
        """Groups of `features`; the first decides which calibration applies."""
        ...


def hide_announced(inputs: NDArray[np.float32], config: AnnouncedConfig) -> NDArray[np.float32]:
    """The same inputs (n, F) as they are before anything is announced."""
    hidden = inputs.copy()
    hidden[:, [config.features.index(name) for group in config.announced for name in group]] = np.nan
    return hidden


def rows_by_case(inputs: NDArray[np.float32], config: AnnouncedConfig) -> dict[str, NDArray[np.bool_]]:
    """Which rows (n,) fall under each of CASES: announced when any feature of the first group is known."""
    known: NDArray[np.bool_] = np.ones(len(inputs), dtype=np.bool_)
    if config.announced:
        first = [config.features.index(name) for name in config.announced[0]]
        known = np.asarray(np.isfinite(inputs[:, first]).any(axis=1))
    return dict(zip(CASES, (known, ~known), strict=True))
