"""How long a search may go on; the clock is injected, so that tests need none."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Budget:
    """So many seconds by `clock`, from the moment it is made."""

    seconds: float
    clock: Callable[[], float] = time.perf_counter
    _started: float = field(init=False)

    def __post_init__(self) -> None:
        self._started = self.clock()

    def restart(self, seconds: float) -> None:
        """Allow so many seconds from now."""
        self.seconds = seconds
        self._started = self.clock()

    @property
    def left(self) -> float:
        """Seconds left, 0 when it is used up."""
        return max(0.0, self._started + self.seconds - self.clock())

    @property
    def over(self) -> bool:
        """Whether it is used up."""
        return self.left == 0.0
