"""The simulated league as a source of games: offline, seeded and always labelled `simulated`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from features.errors import InvalidInput
from features.scoring import SITES
from features.slate import Slate
from features.sources.base import Batch
from features.sources.simulated.league import league as _players
from features.sources.simulated.revision import revision
from features.sources.simulated.schedule import Schedule, opening_day, schedule
from features.tables import BOX, EASTERN, FINAL_AFTER_TIP, TABLES, tip_time
from features.workspace import League

_LOGGER = logging.getLogger(__name__)
#: Games a slate needs.
FEWEST_GAMES: Final = 2


def _start_of(day: date) -> datetime:
    """00:00 US Eastern of `day`, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(EASTERN)).astimezone(UTC)


def season_of(day: date) -> int:
    """Start year of the season that `day` belongs to (a season runs from August to July)."""
    return day.year if day.month >= 8 else day.year - 1


class SimulatedSource:
    """A seeded league of 30 fictional teams in the archive schema.

    `seasons` are start years; `through` is the league's today: what is known when that day begins (00:00 US
    Eastern) is the most that `batches` ever gives. Same arguments, same rows, in whatever order they are asked.
    """

    name = "simulated"
    league: League = "simulated"

    def __init__(self, seed: int, seasons: Sequence[int], through: date) -> None:
        """Raises `InvalidInput` for a negative seed or a season outside the simulated years."""
        if seed < 0:
            raise InvalidInput(f"seed: {seed} is negative; use 0 or a positive whole number")
        self.seed, self.through = seed, through
        self.seasons = tuple(sorted(set(seasons)))
        for season in self.seasons:
            _players(seed, season)
        self._boxes: dict[tuple[int, int], pl.DataFrame] = {}

    def batches(
        self, *, as_of: datetime, seasons: Sequence[int] | None, cursors: Mapping[str, str]
    ) -> Iterator[Batch]:
        """One batch per table and season with the games known by `as_of`; unchanged ones are skipped."""
        from features.sources.simulated import frames
        from features.sources.simulated.game import play_game

        known_by = min(as_of.astimezone(UTC), _start_of(self.through))
        for season in self.seasons if seasons is None else [s for s in self.seasons if s in set(seasons)]:
            numbers = self._known(season, known_by)
            cursor = f"{revision()}-{self.seed}-{len(numbers)}"
            wanted = [table for table in TABLES if cursors.get(f"{table}/season={season}") != cursor]
            if not numbers or not wanted:
                continue
            games = [play_game(self.seed, season, k) for k in numbers]
            _LOGGER.info("simulated games played", extra={"season": season, "games": len(games)})
            make = {"games": frames.games_frame, "box": frames.box_frame, "pbp": frames.pbp_frame}
            for table in wanted:
                frame = make[table](self.seed, season, games)
                yield Batch(table, season, f"{table}/season={season}", cursor, frame)

    def slates(self, day: date) -> list[Slate]:
        """Classic slates of the three sites for the games of `day`; empty with fewer than two games."""
        from features.sources.simulated.salaries import make_slate

        season = season_of(day)
        numbers = self._games_on(day)
        if season not in self.seasons or len(numbers) < FEWEST_GAMES:
            return []
        box = self._box_before(season, numbers[0])
        return [make_slate(self.seed, season, day, numbers, box, site) for site in SITES]

    def next_game_day(self, day: date) -> date | None:
        """The first day from `day` on with a slate (two games or more), None after the last season."""
        for season in self.seasons:
            first = max(day, opening_day(season))
            for ahead in range((date(season + 1, 7, 1) - first).days):
                candidate = first + timedelta(days=ahead)
                if len(self._games_on(candidate)) >= FEWEST_GAMES:
                    return candidate
        return None

    def schedule_frame(self, season: int) -> pl.DataFrame:
        """All games of `season`, played or not: game_id, game_date, tip_et_min, home_team, away_team and times."""
        from features.sources.simulated.names import CODES

        s = self._schedule(season)
        n = len(s.days)
        tip = tip_time()
        return pl.DataFrame({
            "game_id": [s.game_id(k) for k in range(n)], "game_date": [s.day(k) for k in range(n)],
            "tip_et_min": s.tip_et_min, "home_team": [CODES[t] for t in s.home],
            "away_team": [CODES[t] for t in s.away],
        }).with_columns(tip.alias("event_time"), (tip + FINAL_AFTER_TIP).alias("known_time"))  # fmt: skip

    def true_home_win_probability(self, game_id: str, *, replays: int = 400) -> float:
        """Share of `replays` in which the home side wins, from the same latent strengths and absences.

        A test oracle: nobody could know it. Standard error sqrt(p (1 - p) / replays).
        """
        from features.sources.simulated.game import replay_margins

        season, k = self._number(game_id)
        return float((replay_margins(self.seed, season, k, replays) > 0).mean())

    def _number(self, game_id: str) -> tuple[int, int]:
        for season in self.seasons:
            if game_id[:4] == f"S0{season % 100:02d}" and game_id[4:].isdecimal():
                k = int(game_id[4:]) - 1
                if 0 <= k < len(schedule(self.seed, season).days) and len(game_id) == 10:
                    return season, k
        raise InvalidInput(f"game_id: {game_id!r} is no game of the simulated seasons {self.seasons}")

    def _schedule(self, season: int) -> Schedule:
        if season not in self.seasons:
            raise InvalidInput(f"seasons: {season} is not one of this league's {self.seasons}")
        return schedule(self.seed, season)

    def _known(self, season: int, known_by: datetime) -> list[int]:
        known = self.schedule_frame(season).get_column("known_time") <= known_by
        return known.arg_true().to_list()

    def _games_on(self, day: date) -> list[int]:
        season = season_of(day)
        if season not in self.seasons:
            return []
        s = schedule(self.seed, season)
        return [int(k) for k in (s.days == (day - s.opening).days).nonzero()[0]]

    def _box_before(self, season: int, first: int) -> pl.DataFrame:
        """Box lines of the season's games before number `first` (games are numbered in order of tip-off)."""
        from features.sources.simulated.frames import box_frame
        from features.sources.simulated.game import play_game

        if first == 0:
            return pl.DataFrame(schema=BOX)
        if (season, first) not in self._boxes:
            games = [play_game(self.seed, season, k) for k in range(first)]
            self._boxes = {(season, first): box_frame(self.seed, season, games)}
        return self._boxes[season, first]
