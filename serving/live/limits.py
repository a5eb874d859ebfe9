"""What one client may use of a worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: A client this far beyond its rate does not slow down when told: it is closed.
FLOOD_BURSTS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits per worker and connection; sizes in bytes, rates per second."""

    subscriptions: int = 500
    message_bytes: int = 64 * 1024
    messages_per_s: float = 20.0
    messages_burst: float = 60.0
    per_address: int = 2_000
    per_subject: int = 200
    asks: int = 8
    handshake_s: float = 5.0
    heartbeat_s: int = 25
    unsent_bytes: int = 64 * 1024
    stuck_s: float = 5.0
    tick_ms: float = 50.0

    def told(self) -> dict[str, float]:
        """Those a client can act on, for the welcome."""
        return {
            "subscriptions": self.subscriptions,
            "message_bytes": self.message_bytes,
            "messages_per_s": self.messages_per_s,
            "messages_burst": self.messages_burst,
            "asks": self.asks,
        }


class Bucket:
    """Token bucket: `take` says whether one more message is within the rate, and counts it either way."""

    __slots__ = ("_at_s", "_left")

    def __init__(self, limits: Limits, now_s: float) -> None:
        self._left = limits.messages_burst
        self._at_s = now_s

    def take(self, limits: Limits, now_s: float) -> bool:
        """Count a message at `now_s` (monotonic seconds)."""
        left = self._left + (now_s - self._at_s) * limits.messages_per_s
        self._left = min(left, limits.messages_burst) - 1.0
        self._at_s = now_s
        return self._left >= 0

    def flooded(self, limits: Limits) -> bool:
        """True when messages kept coming at several times the rate."""
        return self._left < -FLOOD_BURSTS * limits.messages_burst


class Tally:
    """How many connections each address and subject has; an absent one has none."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def enter(self, who: str) -> int:
        """Count one more of `who`; returns how many there are now."""
        count = self._counts.get(who, 0) + 1
        self._counts[who] = count
        return count

    def leave(self, who: str) -> None:
        """Count one less."""
        count = self._counts.get(who, 0)
        if count <= 1:
            self._counts.pop(who, None)
        else:
            self._counts[who] = count - 1
