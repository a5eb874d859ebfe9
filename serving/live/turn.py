"""A transaction of whoever speaks for a league: without effect once another process does.

Each partition has a key that names the turn of the process that speaks (`Keys.speaker`, written by
`serving.live.seat`). It is WATCHed from before it is compared until EXEC, so a process that was stopped in between and
wakes up later writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis

from features.stream.keys import Keys

Queue = Callable[[Any], None]


def say(client: redis.Redis, keys: Keys, turn: bytes, queue: Queue) -> bool:
    """Execute what `queue` adds to a pipeline at once; False, and nothing is written, when `turn` is over.

    `client` reaches the partition's server. Raises what redis-py raises.
    """
    pipe: Any
    with client.pipeline(transaction=True) as pipe:
        pipe.watch(keys.speaker)
        if pipe.get(keys.speaker) != turn:
            return False
        pipe.multi()
        queue(pipe)
        try:
            pipe.execute()
        except redis.WatchError:
            return False
    return True
