"""Random pools that use every part of the search's contract, and a validity check that shares no code with it."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Sequence

import numpy as np

from models.lineups.pool import Choice, Ints, LinearRows, Pool
from models.lineups.problem import Candidate

# Per shape: slots a row may fill, by position letter. The last two are captain games.
SHAPES: tuple[tuple[str, dict[str, int]], ...] = (
    ("PG SG SF PF C G F U", {"p": 0b10100001, "s": 0b10100010, "f": 0b11000100, "w": 0b11001000, "c": 0b10010000}),
    ("P P C 1 2 3 S O O O", {"p": 3, "c": 4, "1": 8, "2": 16, "3": 32, "s": 64, "o": 0b1110000000}),
    ("Q R R W W W T X D", {"q": 1, "r": 0b10000110, "w": 0b10111000, "t": 0b11000000, "d": 1 << 8}),
    ("G G G G G G", {"g": 63}),
    ("A B AB", {"a": 0b101, "b": 0b110}),
    ("CPT F F F F F", {}),
    ("MVP U U U U", {}),
)


def random_pool(seed: int, most: int = 40) -> Pool:
    """A pool of 8 to `most` rows; about one in ten allows no lineup."""
    rng = random.Random(seed)
    slots, masks = rng.choice(SHAPES)
    size = len(slots.split())
    captains = not masks
    count = rng.randint(size + 2, max(size + 4, most // (2 if captains else 1)))
    letters = sorted(masks)
    mask = [0 if captains else masks[rng.choice(letters)] for _ in range(count)]
    if not captains:
        mask = [m | masks[rng.choice(letters)] if rng.random() < 0.35 else m for m in mask]
    games = rng.randint(1, 4)
    team = [rng.randrange(2 * games) for _ in range(count)]
    grain = rng.choice((1, 1, 1, 5, 37))
    salary = [grain * rng.randint(20, 110) for _ in range(count)]
    score = _scores(rng, salary)
    person = list(range(count))
    if captains:
        both = list(range(count)) * 2
        multiplier = [1.5] * count + [1.0] * count
        mask = [1] * count + [(1 << size) - 2] * count
        team, person = [team[i] for i in both], both
        score = [score[i] * k for i, k in zip(both, multiplier, strict=True)]
        dear = 1.5 if rng.random() < 0.7 else 1.0
        salary = [round(salary[i] * (dear if k > 1 else 1.0)) for i, k in zip(both, multiplier, strict=True)]
        count *= 2
    elif rng.random() < 0.2:
        person = [rng.randrange(count) for _ in range(count)]
    return _pool(rng, slots.split(), mask, salary, score, person, team, grain)


def _scores(rng: random.Random, salary: Sequence[int]) -> list[float]:
    """Scores near the salaries, in styles full of ties, a fifth of the time below zero."""
    style = rng.choice(("whole", "half", "fine", "fine", "salary", "few"))
    below = rng.choice((0.0, 0.0, 0.0, 0.0, 25.0))
    mean = sum(salary) / len(salary)
    scores = []
    for s in salary:
        x = s / mean * 25 + rng.gauss(0, 6) - below
        x = {"whole": round(x), "half": round(2 * x) / 2, "salary": s / 4, "few": 10.0 * rng.randint(0, 2)}.get(
            style, x
        )
        scores.append(float(x))
    return scores


def _pool(
    rng: random.Random, slots: list[str], mask: list[int], salary: list[int], score: list[float], person: list[int],
    team: list[int], grain: int,
) -> Pool:  # fmt: skip
    count, size = len(mask), len(slots)
    typical = size * sum(salary) // count
    free = rng.random() < 0.15
    cap = 10**9 if free else int(typical * rng.uniform(0.75, 1.15)) // grain * grain
    floor = 0 if free or rng.random() < 0.6 else int(cap * rng.uniform(0.85, 1.0))
    locked, excluded = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    for row in rng.sample(range(count), rng.choice((0, 0, 0, 1, 2))):
        locked[row] = True
    for row in rng.sample(range(count), rng.choice((0, 0, 3))):
        excluded[row] = not locked[row]
    teams = np.array(team)
    conflict = None
    if rng.random() < 0.3:
        conflict = np.zeros((count, count), np.bool_)
        for _ in range(rng.randint(1, count)):
            a, b = rng.sample(range(count), 2)
            conflict[a, b] = True
            conflict[b, a] = rng.random() < 0.5
    code = {p: at for at, p in enumerate(dict.fromkeys(person))}
    tight = rng.random()
    return Pool(
        candidates=tuple(Candidate(f"{i}", f"P{i}", ("X",), f"T{t}", f"G{t // 2}", 1, 1.0) for i, t in enumerate(team)),
        source=np.arange(count),
        slots=tuple(slots),
        score=np.array(score),
        projection=np.array(score),
        salary=np.array(salary),
        mask=np.array(mask),
        person=np.array([code[p] for p in person]),
        team=teams,
        game=teams // 2,
        locked=locked,
        excluded=excluded,
        limit=np.full(count, 150),
        unit_usd=1,
        cap=cap,
        floor=floor,
        max_per_team=size if tight < 0.4 else rng.randint(2, 5),
        min_teams=rng.choice((1, 1, 2, 3)),
        min_games=rng.choice((1, 1, 2)),
        max_per_game=size if rng.random() < 0.75 else rng.randint(1, size),
        rows=_rows(rng, teams, size, rng.choice((0, 0, 1, 2, 4))),
        choices=tuple(_choice(rng, teams, size) for _ in range(rng.choice((0, 0, 1, 1, 2, 3)))),
        conflict=conflict,
        side=None if rng.random() < 0.7 else np.array([-1 if rng.random() < 0.4 else t for t in team]),
    )  # fmt: skip


def _rows(rng: random.Random, team: np.ndarray, size: int, wanted: int) -> LinearRows:
    """Counts of a group, sums of signed weights (a condition), and sums of large weights (ownership)."""
    count = len(team)
    weight, lower, upper = [], [], []
    for _ in range(wanted):
        style = rng.choice(("group", "team", "signed", "sum"))
        if style == "group":
            w = [int(rng.random() < 0.3) for _ in range(count)]
            bounds = rng.choice(((0, 2), (1, size), (2, 3), (1, 1)))
        elif style == "team":
            w = [int(t == team[0]) for t in team]
            bounds = rng.choice(((0, 1), (2, size), (3, 4)))
        elif style == "signed":
            w = [rng.choice((-1, 0, 0, 0, 1, 2)) for _ in range(count)]
            bounds = rng.choice(((0, 10**12), (-(10**12), 1), (-1, 2)))
        else:
            w = [rng.randint(0, 400) for _ in range(count)]
            bounds = rng.choice(((0, 210 * size), (190 * size, 10**12), (150 * size, 220 * size)))
        weight.append(w)
        lower.append(bounds[0])
        upper.append(bounds[1])
    shape = (wanted, count)
    return LinearRows(
        np.array(weight, dtype=np.int64).reshape(shape), np.array(lower, np.int64), np.array(upper, np.int64),
        tuple(f"row {r}" for r in range(wanted)),
    )  # fmt: skip


def _choice(rng: random.Random, team: np.ndarray, size: int) -> Choice:
    """A stack of any team, or two to four arbitrary options of one or two rows."""
    if rng.random() < 0.5:
        wanted = rng.randint(2, max(2, size // 2))
        options = []
        for t in sorted(set(team.tolist())):
            weight = (team == t).astype(np.int64)[None, :]
            options.append(LinearRows(weight, np.array([wanted]), np.array([size]), (f"stack {t}",)))
        return Choice("stack", tuple(options))
    return Choice("either", tuple(_rows(rng, team, size, rng.randint(1, 2)) for _ in range(rng.randint(2, 4))))


def holds(rows: LinearRows, lineup: Sequence[int], upper: Sequence[int]) -> bool:
    """Whether every row's sum over the lineup is within its bounds."""
    return all(
        int(low) <= sum(int(weight[i]) for i in lineup) <= int(high)
        for weight, low, high in zip(rows.weight, rows.lower, upper, strict=True)
    )


def assert_valid(pool: Pool, seats: Sequence[int], upper: Ints | None = None) -> None:
    """Check one lineup, rows in roster-slot order, against the pool's contract."""
    assert len(seats) == pool.size
    assert all(pool.mask[i] >> s & 1 for s, i in enumerate(seats))
    assert len({int(pool.person[i]) for i in seats}) == pool.size
    assert pool.floor <= sum(int(pool.salary[i]) for i in seats) <= pool.cap
    assert max(Counter(int(pool.team[i]) for i in seats).values()) <= pool.max_per_team
    assert max(Counter(int(pool.game[i]) for i in seats).values()) <= pool.max_per_game
    assert len({int(pool.counted_team[i]) for i in seats} - {-1}) >= pool.min_teams
    assert len({int(pool.game[i]) for i in seats}) >= pool.min_games
    assert set(np.flatnonzero(pool.locked).tolist()) <= set(seats)
    assert not pool.excluded[list(seats)].any()
    if pool.conflict is not None:
        for a, b in itertools.permutations(seats, 2):
            assert not pool.conflict[a, b]
    assert holds(pool.rows, seats, (pool.rows.upper if upper is None else upper).tolist())
    for choice in pool.choices:
        assert any(holds(option, seats, option.upper.tolist()) for option in choice.options)
