"""Random lineup requests, an independent legality checker and an independent oracle (assignment MILP through scipy)."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_matrix

from features.contests import Contest, Slot, load_contest
from models.lineups.problem import Candidate, Lineup
from models.lineups.rules import LineupRules

SITES = ("draftkings", "fanduel", "yahoo")
SHAPES = (
    ("QB RB RB WR WR WR TE FLEX:RB,WR,TE DST", 5),
    ("P P C 1B 2B 3B SS OF OF OF", 4),
    ("C C W W W D D G U:C,W,D", 4),
    ("G G G G G G", 6),
    ("F:A,B F:B,C F:A,C U:A,B,C", 4),
)


def contest_of(rng: random.Random) -> Contest:
    """A site's NBA contest or a made-up roster, sometimes with tighter team and game limits."""
    base = load_contest(rng.choice(SITES))
    if rng.random() < 0.5:
        shape, _ = rng.choice(SHAPES)
        slots = []
        for token in shape.split():
            name, _, positions = token.partition(":")
            slots.append(Slot(name, frozenset(positions.split(",") if positions else [name])))
        base = replace(base, slots=tuple(slots), max_per_team=len(slots), min_teams=1, min_games=1)
    if rng.random() < 0.6:
        base = replace(
            base,
            max_per_team=rng.randint(2, 5),
            min_teams=rng.randint(1, 3),
            min_games=rng.randint(1, 3),
        )
    return base


def players_of(rng: random.Random, contest: Contest, most: int = 60) -> list[Candidate]:
    """14 to `most` players, 45 % multi-position, on the contest's salary scale, in score styles full of ties."""
    count = rng.randint(14, most)
    teams = rng.randint(2, 5) * 2
    positions = sorted(contest.positions)
    style = rng.choice(("whole", "half", "twentieth", "fine", "fine", "salary"))
    mean_usd = contest.salary_cap_usd / contest.lineup_size
    step = rng.choice((contest.salary_step_usd, contest.salary_step_usd * 5))
    players = []
    for row in range(count):
        salary = max(step, round(rng.uniform(0.5, 1.9) * mean_usd / step) * step)
        score = 0.0 if rng.random() < 0.04 else max(0.0, salary / mean_usd * 30 + rng.gauss(0, 6))
        grid = {"whole": 1.0, "half": 0.5, "twentieth": 0.05}.get(style)
        score = round(score / grid) * grid if grid else salary / 2 if style == "salary" else score
        spread = rng.choice((1, 1, 1, 1, 1, 2, 2, 2, 3))
        team = rng.randrange(teams)
        eligible = tuple(rng.sample(positions, min(spread, len(positions))))
        players.append(Candidate(f"p{row}", f"P {row}", eligible, f"T{team}", f"G{team // 2}", salary, score))
    return players


def rules_of(rng: random.Random, players: Sequence[Candidate], contest: Contest) -> LineupRules:
    """Rules that mostly leave something feasible."""
    ids = [p.id for p in players]
    shuffled = rng.sample(ids, len(ids))
    locks = rng.choice((0, 0, 0, 1, 1, 2, 3))
    floor = rng.choice((0, 0, 0.9, 0.98, 1.0))
    ceiling = rng.choice((None, None, None, 0.97, 0.85))
    if floor and ceiling and rng.random() < 0.9:
        ceiling = None
    locked = frozenset(shuffled[:locks])
    others = shuffled[locks:]
    return LineupRules(
        n=rng.choice((1, 1, 2, 3, 4, 5, 6, 20)),
        locked=locked,
        excluded=frozenset(others[: rng.choice((0, 0, 2, 5))]),
        max_exposure=rng.choice((1.0, 1.0, 0.67, 0.5)),
        player_max_exposure={i: rng.choice((0.2, 0.4, 0.9)) for i in others[5 : 5 + rng.choice((0, 0, 3))]},
        min_salary_usd=int(floor * contest.salary_cap_usd),
        max_salary_usd=None if ceiling is None else int(ceiling * contest.salary_cap_usd),
        min_unique=rng.choice((1, 1, 1, 2, 3)),
    )


def limits_of(players: Sequence[Candidate], rules: LineupRules) -> dict[str, int]:
    """Appearances each player may make, from the rules' text, in integer arithmetic."""
    limit = {}
    for p in players:
        exposure = rules.player_max_exposure.get(p.id, 1.0 if p.id in rules.locked else rules.max_exposure)
        limit[p.id] = max(1, round(exposure * 10_000) * rules.n // 10_000)
    return limit


def assert_legal(lineup: Lineup, players: Sequence[Candidate], contest: Contest, rules: LineupRules) -> None:
    """Check one lineup against the contest and the rules from first principles."""
    by_id = {p.id: p for p in players}
    chosen = [by_id[p.id] for p in lineup.players]
    assert [p.slot for p in lineup.players] == [slot.name for slot in contest.slots]
    assert len({p.id for p in chosen}) == len(contest.slots)
    for slot, player in zip(contest.slots, chosen, strict=True):
        assert set(player.positions) & slot.positions
    salary = sum(p.salary_usd for p in chosen)
    assert lineup.salary == salary
    assert rules.min_salary_usd <= salary <= min(contest.salary_cap_usd, rules.max_salary_usd or 10**9)
    assert max(Counter(p.team for p in chosen).values()) <= contest.max_per_team
    assert len({p.team for p in chosen}) >= contest.min_teams
    assert len({p.game for p in chosen}) >= contest.min_games
    assert rules.locked <= {p.id for p in chosen}
    assert not rules.excluded & {p.id for p in chosen}
    assert abs(lineup.projection - sum(p.projection for p in chosen)) < 1e-6
    assert lineup.bound >= lineup.projection - 1e-9
    assert abs(lineup.gap - (lineup.bound - lineup.projection)) < 1e-9


def assert_portfolio(
    lineups: Sequence[Lineup], players: Sequence[Candidate], contest: Contest, rules: LineupRules
) -> None:
    """Check every lineup, their order, distinctness and exposures."""
    for lineup in lineups:
        assert_legal(lineup, players, contest, rules)
    sets = [frozenset(p.id for p in lineup.players) for lineup in lineups]
    for at, players_here in enumerate(sets):
        for earlier in sets[:at]:
            assert len(players_here - earlier) >= rules.min_unique
    limit = limits_of(players, rules)
    for player, count in Counter(i for s in sets for i in s).items():
        assert count <= limit[player]
    values = [lineup.projection for lineup in lineups]
    assert all(a >= b - 1e-6 for a, b in itertools.pairwise(values))


def oracle(
    players: Sequence[Candidate], contest: Contest, rules: LineupRules, earlier: Sequence[Lineup]
) -> float | None:
    """Best projection still legal after `earlier`, None when there is none; y[player, slot] binaries."""
    pairs = [
        (i, s)
        for i, p in enumerate(players)
        for s, slot in enumerate(contest.slots)
        if slot.positions & set(p.positions)
    ]
    teams, games = sorted({p.team for p in players}), sorted({p.game for p in players})
    width = len(pairs) + len(teams) + len(games)
    rows: list[tuple[dict[int, float], float, float]] = []
    size = len(contest.slots)
    of_player: dict[int, list[int]] = {i: [] for i in range(len(players))}
    of_slot: dict[int, list[int]] = {s: [] for s in range(size)}
    for column, (i, s) in enumerate(pairs):
        of_player[i].append(column)
        of_slot[s].append(column)
    used = Counter(p.id for lineup in earlier for p in lineup.players)
    limit = limits_of(players, rules)
    for i, p in enumerate(players):
        high = 0 if p.id in rules.excluded or used[p.id] >= limit[p.id] else 1
        rows.append((dict.fromkeys(of_player[i], 1.0), float(p.id in rules.locked), float(high)))
    rows += [(dict.fromkeys(columns, 1.0), 1.0, 1.0) for columns in of_slot.values()]
    salary = {c: float(players[i].salary_usd) for c, (i, _) in enumerate(pairs)}
    ceiling = min(contest.salary_cap_usd, rules.max_salary_usd or 10**9)
    rows.append((salary, float(rules.min_salary_usd), float(ceiling)))
    for offset, names, key, most, least in (
        (len(pairs), teams, "team", contest.max_per_team, contest.min_teams),
        (len(pairs) + len(teams), games, "game", size, contest.min_games),
    ):
        for g, name in enumerate(names):
            columns = [c for c, (i, _) in enumerate(pairs) if getattr(players[i], key) == name]
            rows.append((dict.fromkeys(columns, 1.0), 0.0, float(most)))
            rows.append((dict.fromkeys(columns, 1.0) | {offset + g: -1.0}, 0.0, float(size)))
        rows.append(({offset + g: 1.0 for g in range(len(names))}, float(least), float(max(least, len(names)))))
    for lineup in earlier:
        ids = {p.id for p in lineup.players}
        columns = [c for c, (i, _) in enumerate(pairs) if players[i].id in ids]
        rows.append((dict.fromkeys(columns, 1.0), 0.0, float(size - rules.min_unique)))
    line = np.repeat(np.arange(len(rows)), [len(entries) for entries, _, _ in rows])
    columns_of = [column for entries, _, _ in rows for column in entries]
    values = [value for entries, _, _ in rows for value in entries.values()]
    matrix = csr_matrix((values, (line, columns_of)), shape=(len(rows), width))
    cost = np.zeros(width)
    cost[: len(pairs)] = [-players[i].projection for i, _ in pairs]
    bounds = LinearConstraint(matrix, np.array([r[1] for r in rows]), np.array([r[2] for r in rows]))
    answer = milp(
        cost, constraints=bounds, integrality=np.ones(width), bounds=Bounds(0, 1), options={"mip_rel_gap": 0.0}
    )
    if answer.x is None:
        return None
    return float(sum(players[i].projection for c, (i, _) in enumerate(pairs) if answer.x[c] > 0.5))
