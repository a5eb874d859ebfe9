"""The slates the lineup benchmarks run on: real salary files where the recorded data is, made-up ones for anybody.

Projections are the file's own average points; players without any, and FanDuel's injured, are left out, as
pydfs-lineup-optimizer leaves them out.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import polars as pl

from features.contests import Contest, known_contests, load_contest
from features.sources.salaries import OUT_STATUSES, read_salaries
from models.lineups.draft import candidates
from models.lineups.problem import Candidate
from models.lineups.rules import LineupRules, TeamStack

#: Hitters of a five-stack: everybody but pitchers.
HITTERS = frozenset({"C", "1B", "2B", "3B", "SS", "OF"})


@dataclass(frozen=True)
class BenchSlate:
    """Who may be picked under which contest's rules, and the stack asked for beside them."""

    name: str
    contest: Contest
    candidates: list[Candidate]
    stack: TeamStack | None = None

    def rules(self, n: int, max_exposure: float = 1.0) -> LineupRules:
        """A request for `n` lineups."""
        return LineupRules(n=n, max_exposure=max_exposure, stacks=(self.stack,) if self.stack else ())


#: Name, (site, sport, mode), file under dfs/, stack.
REAL = (
    ("DK NBA 2024-10-23, 10 games", ("draftkings", "nba", "classic"),
     "draftkings/nba/salaries/2024-10-23_classic_10g_b53188.csv", None),
    ("DK NBA 2018-12-03, 7 games", ("draftkings", "nba", "classic"),
     "draftkings/nba/salaries/2018-12-03_classic_7g_b21ec1.csv", None),
    ("DK NFL 2023-11-26, 10 games", ("draftkings", "nfl", "classic"),
     "draftkings/nfl/salaries/2023-11-26_classic_10g_6468b4.csv", None),
    ("FD NBA 2018-12-05, 10 games", ("fanduel", "nba", "classic"),
     "fanduel/nba/salaries/c2018-12-05_10g_6c85ef.csv", None),
    ("DK MLB 2026-06-02, 11 games, 5-stack", ("draftkings", "mlb", "classic"),
     "draftkings/mlb/salaries/2026-06-02_classic_11g_f11032.csv", TeamStack(5, positions=HITTERS)),
    ("DK NFL showdown 2019-01-05", ("draftkings", "nfl", "showdown"),
     "draftkings/nfl/salaries/2019-01-05_showdown_1g_547915.csv", None),
    ("DK NBA showdown 2022-02-26", ("draftkings", "nba", "showdown"),
     "draftkings/nba/salaries/2022-02-26_showdown_1g_fc3277.csv", None),
)  # fmt: skip

#: Players of each position on a team, and roughly what a player of it costs, as a share of the mean salary.
TEAMS = {
    "nba": {"PG": 3, "SG": 3, "SF": 3, "PF": 3, "C": 3},
    "nfl": {"QB": 1, "RB": 3, "WR": 6, "TE": 3, "DST": 1},
    "mlb": {"P": 2, "C": 2, "1B": 2, "2B": 2, "3B": 2, "SS": 2, "OF": 5},
}
SYNTHETIC = (
    ("draftkings", "nba", "classic"),
    ("fanduel", "nba", "classic"),
    ("yahoo", "nba", "classic"),
    ("draftkings", "nfl", "classic"),
    ("draftkings", "mlb", "classic"),
    ("draftkings", "nfl", "showdown"),
)


def real_slates(data: Path) -> Iterator[BenchSlate]:
    """Slates of recorded salary files; none without them."""
    for name, key, file, stack in REAL:
        path = data / "dfs" / file
        if path.is_file() and key in known_contests():
            contest = load_contest(*key)
            yield BenchSlate(name, contest, from_file(path, contest), stack)


def synthetic_slates() -> Iterator[BenchSlate]:
    """Made-up slates of the same sizes, equal on every machine."""
    for site, sport, mode in SYNTHETIC:
        if (site, sport, mode) in known_contests():
            contest = load_contest(site, sport, mode)
            stack = TeamStack(5, positions=HITTERS) if sport == "mlb" else None
            yield BenchSlate(f"synthetic {contest.name}", contest, synthetic(contest, seed=7), stack)


def from_file(path: Path, contest: Contest) -> list[Candidate]:
    """Candidates of a salary file, the way `fantasy lineups --projections salaries` makes them."""
    slate = read_salaries(path, sport=contest.sport)
    means = [0.0 if p.injury_status in OUT_STATUSES else p.average_points for p in slate.players]
    numbers = pl.DataFrame(
        {"site_id": [p.site_id for p in slate.players], "mean": means, "q10": means, "q90": means},
        schema={"site_id": pl.String, "mean": pl.Float64, "q10": pl.Float64, "q90": pl.Float64},
    )
    return candidates(slate, numbers, contest)


def synthetic(contest: Contest, seed: int) -> list[Candidate]:
    """A slate of ten games (one for a showdown) on the site's salary scale; NBA and MLB players have up to two
    positions, a showdown lists every player as captain and again in the other slot."""
    rng = random.Random(seed)
    showdown = contest.mode == "showdown"
    cap = contest.salary_cap_usd or 0
    # A captain's salary is 1.5 times as high and on the site's step, too.
    mean_usd, step = cap / contest.lineup_size, contest.salary_step_usd * (2 if showdown else 1)
    ids = count(1)
    pool: list[Candidate] = []
    for team in range(2 if showdown else 20):
        for position, players in TEAMS[contest.sport].items():
            for _ in range(players):
                salary = round(mean_usd * min(1.9, 0.48 + rng.expovariate(2.2)) / step) * step
                points = round(salary / mean_usd * 200 / contest.lineup_size * rng.lognormvariate(-0.03, 0.22), 2)
                game, person = f"T{team // 2 * 2}@T{team // 2 * 2 + 1}", f"Player {next(ids)}"
                listed = _listed(position, contest, rng)
                for positions, times in listed:
                    pool.append(
                        Candidate(
                            f"{next(ids)}", person, positions, f"T{team}", game, round(salary * times), points,
                            person=person, opponent=f"T{team ^ 1}",
                        )
                    )  # fmt: skip
    return pool


def _listed(position: str, contest: Contest, rng: random.Random) -> list[tuple[tuple[str, ...], float]]:
    """The rows of a player: (positions, salary multiple)."""
    if contest.mode == "showdown":
        captain, other = (min(slot.positions) for slot in contest.slots[:2])
        return [((captain,), 1.5), ((other,), 1.0)]
    others = [p for p in TEAMS[contest.sport] if p not in {position, "P", "C"}]
    if contest.sport == "nfl" or position == "P" or rng.random() > 0.4:
        return [((position,), 1.0)]
    return [(tuple(dict.fromkeys((position, rng.choice(others)))), 1.0)]
