"""What waits to be worked on: one word per key, the newest, so that whoever is slow never works on the past."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Inbox(Generic[K, V]):
    """Keys with their newest word, the one that waits longest first. For any number of threads.

    A key that was taken comes again `every_s` later at the earliest, however often it is put. `clock` gives seconds.
    """

    def __init__(self, every_s: float, clock: Callable[[], float]) -> None:
        self._every_s = every_s
        self._clock = clock
        self._waiting: dict[K, V] = {}
        self._taken: dict[K, float] = {}
        self._changed = threading.Condition()
        self._closed = False
        self.superseded = 0

    def put(self, key: K, word: V) -> None:
        """Leave `word` for `key`; one that was not taken yet is forgotten, its place in the queue stays."""
        with self._changed:
            self.superseded += key in self._waiting
            self._waiting[key] = word
            self._changed.notify()

    def put_back(self, key: K, word: V) -> None:
        """Leave a word that was taken again, unless a newer one came meanwhile."""
        with self._changed:
            self._waiting.setdefault(key, word)
            self._changed.notify()

    def take(self, timeout_s: float) -> tuple[K, V] | None:
        """The next key that is due and its word; None when there is none in time, or after `close`."""
        until = self._clock() + timeout_s
        with self._changed:
            while not self._closed:
                now = self._clock()
                key = next((key for key in self._waiting if self._due(key) <= now), None)
                if key is not None:
                    self._taken[key] = now
                    return key, self._waiting.pop(key)
                if now >= until:
                    return None
                self._changed.wait(min([until, *map(self._due, self._waiting)]) - now)
        return None

    def close(self) -> None:
        """Wake whoever waits, for good."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __len__(self) -> int:
        return len(self._waiting)

    def _due(self, key: K) -> float:
        taken = self._taken.get(key)
        return -math.inf if taken is None else taken + self._every_s
