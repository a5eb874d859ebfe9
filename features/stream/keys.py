"""Names of everything the stream keeps in Redis.

What changes in one transaction has one hash tag, `{league:partition}`, so that Redis Cluster keeps it on one node.
`bus` keys hold bulk streams, which may be lost and are then sent again; all others live on the `state` server.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: Consumer group that folds events into state.
GROUP: Final = "fold"


@dataclass(frozen=True, slots=True)
class Keys:
    """Key names of a league's partition."""

    league: str
    partition: int

    def _of(self, what: str) -> str:
        return f"fantasy:{{{self.league}:{self.partition}}}:{what}"

    @property
    def events(self) -> str:
        """bus, stream: batches of events."""
        return self._of("events")

    @property
    def critical(self) -> str:
        """stream: scores, injuries and line-ups, one event an entry."""
        return self._of("critical")

    @property
    def dead(self) -> str:
        """stream: what could not be read or applied, with the reason."""
        return self._of("dead")

    @property
    def state(self) -> str:
        """hash: packed state per game (`features.stream.state`)."""
        return self._of("state")

    @property
    def watermark(self) -> str:
        """hash: how far each source's lane is applied (`features.stream.consumer`)."""
        return self._of("watermark")

    @property
    def owner(self) -> str:
        """string with expiry: the one consumer that may write this partition."""
        return self._of("owner")

    @property
    def speaker(self) -> str:
        """string: turn of the recompute process that may write topics of this partition (`serving.live.turn`)."""
        return self._of("speaker")

    @property
    def resend(self) -> str:
        """hash: from where a source has to send again, because entries are missing."""
        return self._of("resend")

    @property
    def deltas(self) -> str:
        """stream: what changed, for the hub (`features.stream.deltas`)."""
        return self._of("deltas")

    @property
    def epoch(self) -> str:
        """string: names this life of `deltas`; offsets of another epoch mean nothing."""
        return self._of("epoch")

    @property
    def topics(self) -> str:
        """hash: the whole of every topic, per writer: field `{topic}|{writer}`."""
        return self._of("topics")

    @property
    def news(self) -> str:
        """hash: newest news per subject; a subject belongs to the partition of its key."""
        return self._of("news")

    @property
    def heard(self) -> str:
        """hash: when (UNIX s) each game and each piece of news was last heard of (`features.stream.retention`)."""
        return self._of("heard")

    @property
    def gone(self) -> str:
        """hash: games that were removed, and when (UNIX s): late events of them do not begin them anew."""
        return self._of("gone")

    @property
    def metrics(self) -> str:
        """hash: lag, rates, latencies and alarms of the partition's owner (`features.stream.metrics`)."""
        return self._of("metrics")

    def plays(self, game: int) -> str:
        """list: a game's plays as 64-byte rows, in the order they were applied."""
        return self._of(f"plays:{game}")


def texts(league: str) -> str:
    """hash: text of every key (`features.stream.directory`)."""
    return f"fantasy:{{{league}}}:texts"


def games(league: str) -> str:
    """hash: what is known of every game by its key (`features.stream.directory`)."""
    return f"fantasy:{{{league}}}:games"


def kafka_offsets(league: str) -> str:
    """hash: how far partitions of Kafka topics are applied (`features.stream.kafka`)."""
    return f"fantasy:{{{league}}}:kafka"
