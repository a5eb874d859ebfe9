"""Salary slates of the simulated league: what each site would have asked for that day's players."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import polars as pl

from features.scoring import SITES, Site, fantasy_points
from features.slate import Slate, SlateGame, SlatePlayer
from features.sources.simulated.availability import availability
from features.sources.simulated.league import league
from features.sources.simulated.names import CODES
from features.sources.simulated.schedule import schedule
from features.tables import tip_time


@dataclass(frozen=True, slots=True)
class _Price:
    """Salary = base + per_point * expected points, on a grid, inside the site's usual range."""

    base: float
    per_point: float
    low: int
    high: int
    grid: int
    noise: float


#: Fitted by eye to published salary files: DraftKings NBA classic 3,000-12,500 under a 50,000 cap, FanDuel
#: 3,500-13,000 under 60,000, Yahoo 10-60 under 200 (the sites' rule pages, read 2026).
_PRICES: Final[dict[Site, _Price]] = {
    "draftkings": _Price(1150, 185, 3000, 12_500, 100, 260),
    "fanduel": _Price(1700, 180, 3500, 13_000, 100, 260),
    "yahoo": _Price(-2.0, 1.0, 10, 60, 1, 1.6),
}
#: Games' weight of a player's reputation (his latent talent) in the price, and of his last ten games.
_REPUTATION_GAMES: Final = 6.0
_RECENT_WEIGHT: Final = 0.4


def _form(box: pl.DataFrame, site: Site) -> dict[int, tuple[float, float, int]]:
    """player_id -> (season average, average of the last ten games, games) of a box frame."""
    points = box.select("player_id", "game_date", "game_id", fantasy_points(site).alias("points"))
    frame = points.sort("game_date", "game_id").group_by("player_id", maintain_order=True).agg(
        pl.col("points").mean().alias("mean"), pl.col("points").tail(10).mean().alias("recent"), pl.len()
    )  # fmt: skip
    return {row[0]: (row[1], row[2], row[3]) for row in frame.iter_rows()}


def _salary(price: _Price, form: tuple[float, float, int], talent: float, noise: float) -> int:
    mean, recent, games = form
    reputation = min(max(15.0 + 9.0 * talent, 2.0), 55.0)
    played = (1 - _RECENT_WEIGHT) * mean + _RECENT_WEIGHT * recent
    expected = (games * played + _REPUTATION_GAMES * reputation) / (games + _REPUTATION_GAMES)
    asked = price.base + price.per_point * expected + price.noise * noise
    return int(min(max(round(asked / price.grid) * price.grid, price.low), price.high))


def _site_id(site: Site, day: date, row: int, player_id: int) -> str:
    """Synthetic ids in each site's own shape."""
    if site == "draftkings":
        return f"{day:%y%m%d}{row:03d}"
    return f"{day:%y%m%d}-{player_id}" if site == "fanduel" else f"sim.p.{player_id}"


def make_slate(seed: int, season: int, day: date, games: list[int], box: pl.DataFrame, site: Site) -> Slate:
    """The classic slate of `games` (numbers in the season) on `day`; `box` holds the season before that day."""
    s, people = schedule(seed, season), league(seed, season)
    number = (day - s.opening).days
    absent = availability(seed, season)
    form, price = _form(box, site), _PRICES[site]
    team = people.team[int(number >= s.deadline)]
    noise = np.random.default_rng([seed, season, 7, number]).normal(size=(len(SITES), len(team)))[
        SITES.index(site)
    ]
    players = []
    for k in games:
        for mine, other in ((s.home[k], s.away[k]), (s.away[k], s.home[k])):
            for row in np.flatnonzero(team == mine).tolist():
                player_id, name = int(people.player_id[row]), people.name[row]
                known = form.get(player_id, (0.0, 0.0, 0))
                site_id = _site_id(site, day, row, player_id)
                players.append(SlatePlayer(
                    site_id, name, people.positions(row),
                    _salary(price, known, float(people.talent[row]), float(noise[row])),
                    CODES[mine], CODES[other], bool(mine == s.home[k]), round(known[0], 2),
                    absent.status(row, number), player_id, f"{name} ({site_id})",
                ))  # fmt: skip
    players.sort(key=lambda player: (-player.salary_usd, player.site_id))
    tips = pl.DataFrame({"game_date": [day] * len(games), "tip_et_min": s.tip_et_min[games]}).select(tip_time())
    starts = tips.to_series().to_list()
    listed = tuple(
        SlateGame(CODES[s.away[k]], CODES[s.home[k]], tip) for k, tip in zip(games, starts, strict=True)
    )
    content = hashlib.sha256(repr((listed, players)).encode()).hexdigest()[:8]
    return Slate(
        f"simulated-{site}-{day:%Y%m%d}-{content}", site, "nba", "classic", min(starts), listed, tuple(players),
        source="simulated",
    )  # fmt: skip
