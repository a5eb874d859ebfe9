"""The values used last, so that what has not changed is not worked out again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, ParamSpec, TypeVar

from cachetools import LRUCache

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
P = ParamSpec("P")


class Recent(Generic[K, V]):
    """At most `most` values by key, for any number of threads; the one unused longest goes first."""

    def __init__(self, most: int) -> None:
        self._lock = threading.Lock()
        self._kept: LRUCache[K, V] = LRUCache(most)

    def get(self, key: K) -> V | None:
        """The value under a key, None where there is none."""
        with self._lock:
            return self._kept.get(key)

    def put(self, key: K, value: V) -> None:
        """Keep a value under a key."""
        with self._lock:
            self._kept[key] = value


class RecentOf(Generic[P, V]):
    """A function that remembers what it gave for the same objects: the very same ones, neither compared nor hashed.

    They must not change. The objects are kept with the value, so that nobody else gets their address meanwhile.
    """

    def __init__(self, most: int, make: Callable[P, V]) -> None:
        self._make = make
        self._kept: Recent[tuple[int, ...], tuple[tuple[object, ...], V]] = Recent(most)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> V:
        """What the function gives for these objects; with keywords it is called anew."""
        if kwargs:
            return self._make(*args, **kwargs)
        key = tuple(map(id, args))
        kept = self._kept.get(key)
        if kept is not None:
            return kept[1]
        made = self._make(*args, **kwargs)
        self._kept.put(key, (args, made))
        return made
