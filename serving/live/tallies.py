"""Games as they are told, kept between one play and the next: a new play costs itself, not the game so far."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from cachetools import LRUCache

from features.play.tally import Play, Tally
from features.stream.directory import Glossary
from features.stream.events import Rows
from features.stream.plays import told_plays

#: Games kept; another one is told from its beginning.
KEPT: Final = 64


@dataclass(frozen=True, slots=True)
class _Kept:
    rows: bytes
    count: int
    tally: Tally


class Tallies:
    """Tallies by game id. For one thread."""

    def __init__(self) -> None:
        self._kept: LRUCache[str, _Kept] = LRUCache(KEPT)

    def tell(self, game_id: str, rows: Rows, directory: Glossary) -> Tally:
        """The game after all of `rows` (at least one), the newest row of a number standing; what came after what is
        known is added, anything else is told anew. Raises `Untold`."""
        data, kept = rows.tobytes(), self._kept.get(game_id)
        if kept is not None and data.startswith(kept.rows):
            fresh = told_plays(rows[kept.count :], directory) if len(rows) > kept.count else []
            newest = kept.tally.newest
            numbers = [-1 if newest is None else newest.seq, *(play.seq for play in fresh)]
            if all(one < next_ for one, next_ in pairwise(numbers)):
                return self._keep(game_id, data, len(rows), kept.tally, fresh)
        plays = {play.seq: play for play in told_plays(rows, directory)}
        (info,) = directory.games({int(rows["game"][0])}).values()
        tally = Tally(info.home_team, info.away_team)
        return self._keep(game_id, data, len(rows), tally, [plays[seq] for seq in sorted(plays)])

    def _keep(self, game_id: str, data: bytes, count: int, tally: Tally, fresh: list[Play]) -> Tally:
        self._kept.pop(game_id, None)  # a tally that fails half-way must not be asked again
        for play in fresh:
            tally.add(play)
        self._kept[game_id] = _Kept(data, count, tally)
        return tally
