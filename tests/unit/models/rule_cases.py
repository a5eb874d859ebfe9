"""Random requests that use every rule, and an oracle for them: y[player, slot] binaries, written from `LineupRules`.

Nothing here looks at `Pool`: the oracle states each rule anew for HiGHS (through scipy).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_matrix

from features.contests import Contest, Slot, load_contest
from features.contests.contest import TeamLimit
from models.lineups.legality import opponents, sides_of
from models.lineups.problem import Candidate, Lineup
from models.lineups.rules import (
    BattingOrderSpacing,
    Condition,
    GameStack,
    Group,
    LineupRules,
    Objective,
    OpposingLimit,
    OwnershipLimit,
    SameTeamLimit,
    TeamExposure,
    TeamStack,
)

MANY = 1_000.0


def slots_of(shape: str) -> tuple[Slot, ...]:
    """`P C:C,1B MVP*1.5*2:P,C` = names, positions (default the name), points and salary multipliers."""
    slots = []
    for token in shape.split():
        head, _, positions = token.partition(":")
        name, *times = head.split("*")
        points, salary = (*map(float, times), 1.0, 1.0)[:2]
        slots.append(Slot(name, frozenset(positions.split(",") if positions else [name]), points, salary))
    return tuple(slots)


ROSTERS = {
    "baseball": "P P C 1B 2B OF OF OF",
    "football": "QB RB RB WR WR TE FLEX:RB,WR,TE DST",
    "hockey": "C C W W D G U:C,W,D",
    "single": "MVP*1.5*1.5:P,C,OF STAR*1.2:P,C,OF U:P,C,OF U:P,C,OF U:P,C,OF",
    "captain": "CPT*1.5:CPT FLEX FLEX FLEX FLEX",
}
HITTERS = {"baseball": ("C", "1B", "2B", "OF"), "single": ("C", "OF")}


def contest_of(rng: random.Random, sport: str) -> Contest:
    """A contest of the sport's roster with some of the limits sites set."""
    base = load_contest("draftkings")
    slots = slots_of(ROSTERS[sport])
    size = len(slots)
    limits = ()
    if sport == "baseball" and rng.random() < 0.7:
        limits = (TeamLimit(frozenset(HITTERS[sport]), rng.choice((3, 4, 5))),)
    return replace(
        base,
        slots=slots,
        salary_cap_usd=None if rng.random() < 0.1 else 6_000 * size,
        max_per_team=size if rng.random() < 0.5 else rng.randint(3, size),
        min_teams=rng.choice((1, 2)),
        min_games=1 if sport in {"single", "captain"} else rng.choice((1, 2)),
        team_limits=limits,
        max_per_game=None if sport in {"single", "captain"} else rng.choice((None, None, None, size - 1)),
    )


def players_of(rng: random.Random, sport: str, count: int) -> list[Candidate]:
    """Players of four teams (two for single games), with floors, ceilings, ownership and batting orders."""
    teams = 2 if sport in {"single", "captain"} else rng.choice((4, 6))
    positions = sorted({p for slot in slots_of(ROSTERS[sport]) for p in slot.positions})
    players = []
    for row in range(count):
        team = row % teams
        first = positions[row // teams % len(positions)]
        second = rng.choice(positions) if sport == "baseball" and rng.random() < 0.2 and first != "P" else first
        eligible = tuple(dict.fromkeys((first, second if second != "P" else first)))
        salary = rng.randrange(30, 100) * 100
        points = round(max(0.5, salary / 200 + rng.gauss(0, 6)), rng.choice((0, 1, 2)))
        players.append(
            Candidate(
                f"p{row}", f"P {row}", eligible, f"T{team}", f"G{team // 2}", salary, points,
                floor=round(points * rng.uniform(0.2, 0.6), 2), ceiling=round(points * rng.uniform(1.3, 2.5), 2),
                ownership=rng.randrange(1, 60) / 100, batting_order=rng.choice((None, *range(1, 10))),
            )
        )  # fmt: skip
    return paired(players) if sport == "captain" else players


def paired(players: Sequence[Candidate]) -> list[Candidate]:
    """Each player twice, as DraftKings lists a captain: his own row and id, salary already multiplied."""
    rows = []
    for c in players[: len(players) // 2]:
        rows.append(replace(c, positions=("FLEX",), person=c.name))
        rows.append(replace(c, id=f"{c.id}c", positions=("CPT",), person=c.name, salary_usd=c.salary_usd * 3 // 2))
    return rows


def rules_of(rng: random.Random, sport: str, contest: Contest, players: Sequence[Candidate]) -> LineupRules:
    """One to four kinds of rules, mostly satisfiable."""
    rules = LineupRules(
        n=rng.choice((1, 2, 3, 6)),
        max_exposure=rng.choice((1.0, 1.0, 0.7)),
        min_unique=rng.choice((1, 1, 2)),
        max_repeating=rng.choice((None, None, None, contest.lineup_size - 2)),
        max_per_team=rng.choice((None, None, None, contest.lineup_size - 1)),
    )
    kinds = rng.sample(sorted(MAKERS), rng.choice((1, 1, 2, 3, 4)))
    for kind in kinds:
        rules = replace(rules, **MAKERS[kind](rng, sport, contest, players))
    return rules


def _ids(rng: random.Random, players: Sequence[Candidate], count: int) -> frozenset[str]:
    best = sorted(players, key=lambda c: -c.projection)[: max(10, len(players) // 2)]
    return frozenset(c.id for c in rng.sample(best, min(count, len(best))))


def _make_groups(
    rng: random.Random, sport: str, contest: Contest, players: Sequence[Candidate]
) -> dict[str, object]:
    groups = []
    for at in range(rng.choice((1, 2))):
        least = rng.choice((0, 1, 2))
        most = rng.choice((None, least or 1, 3))
        groups.append(
            Group(f"g{at}", _ids(rng, players, rng.randint(3, 7)), least, most, 0.0, rng.choice((1.0, 0.5)))
        )
    return {"groups": tuple(groups)}


def _make_conditions(
    rng: random.Random, sport: str, contest: Contest, players: Sequence[Candidate]
) -> dict[str, object]:
    least = rng.choice((0, 1, 2))
    most = rng.choice((None, 2)) if least else rng.choice((0, 1))
    then = _ids(rng, players, rng.randint(3, 6))
    return {"conditions": (Condition(_ids(rng, players, rng.choice((1, 2))), then, least, most),)}


def _make_stacks(
    rng: random.Random, sport: str, contest: Contest, players: Sequence[Candidate]
) -> dict[str, object]:
    most = rng.choice((1.0, 1.0, 0.5))
    positions = frozenset(HITTERS[sport]) if sport in HITTERS and rng.random() < 0.6 else None
    if sport == "football" and rng.random() < 0.7:
        roles = ((frozenset({"QB"}), 1), (frozenset({"WR", "TE"}), rng.choice((1, 2))))
        receivers = frozenset({"RB", "WR", "TE"})
        return {
            "stacks": (TeamStack(2, roles=roles, bring_back=rng.choice((0, 1)), bring_back_positions=receivers),)
        }
    named = frozenset({"T0", "T1"}) if rng.random() < 0.3 else None
    stacks = [TeamStack(rng.choice((2, 3)), named, positions, bring_back=rng.choice((0, 0, 1)), max_exposure=most)]
    if rng.random() < 0.4:
        stacks.append(TeamStack(2, None, positions))
    return {"stacks": tuple(stacks)}


def _make_games(
    rng: random.Random, sport: str, contest: Contest, players: Sequence[Candidate]
) -> dict[str, object]:
    stacks = [GameStack(rng.choice((3, 4)), rng.choice((0, 1)), max_exposure=rng.choice((1.0, 0.7)))]
    if sport not in {"single", "captain"} and rng.random() < 0.3:
        stacks.append(GameStack(2, 1))
    return {"game_stacks": tuple(stacks)}


def _make_opposing(
    rng: random.Random, sport: str, contest: Contest, players: Sequence[Candidate]
) -> dict[str, object]:
    positions = sorted(contest.positions)
    beside = frozenset({{"baseball": "P", "football": "DST", "hockey": "G"}.get(sport, positions[0])})
    against = frozenset(positions) - beside or beside
    return {"opposing": (OpposingLimit(beside, against, rng.choice((0, 0, 1, 2))),)}


def _make_same(
    rng: random.Random, sport: str, contest: Contest, players: Sequence[Candidate]
) -> dict[str, object]:
    positions = sorted(contest.positions)
    chosen = frozenset(rng.sample(positions, min(2, len(positions))))
    return {"same_team": (SameTeamLimit(chosen, rng.choice((1, 2)), rng.choice((None, frozenset({"T1"})))),)}


def _make_spacing(
    rng: random.Random, sport: str, contest: Contest, players: Sequence[Candidate]
) -> dict[str, object]:
    return {"spacing": BattingOrderSpacing(rng.randint(1, 8))}


def _make_ownership(
    rng: random.Random, sport: str, contest: Contest, players: Sequence[Candidate]
) -> dict[str, object]:
    share = 0.3 * contest.lineup_size
    most = rng.choice((None, round(share * 0.7, 2) + 0.005))
    return {"ownership": OwnershipLimit(most, rng.choice((None, round(share * 0.5, 2) - 0.005)))}


def _make_objective(
    rng: random.Random, sport: str, contest: Contest, players: Sequence[Candidate]
) -> dict[str, object]:
    measure = rng.choice(("mean", "floor", "ceiling", "blend"))
    return {"objective": Objective(measure, rng.choice((0.5, -0.5)), rng.choice((0.0, 20.0)))}


def _make_teams(
    rng: random.Random, sport: str, contest: Contest, players: Sequence[Candidate]
) -> dict[str, object]:
    return {"team_exposures": (TeamExposure("T0", rng.choice((1, 2)), 0.0, 0.5),)}


def _make_persons(
    rng: random.Random, sport: str, contest: Contest, players: Sequence[Candidate]
) -> dict[str, object]:
    return {"locked": _ids(rng, players, 1), "excluded": _ids(rng, players, 2), "max_salary_usd": 5_900 * 8}


MAKERS = {
    "groups": _make_groups,
    "conditions": _make_conditions,
    "stacks": _make_stacks,
    "games": _make_games,
    "opposing": _make_opposing,
    "same": _make_same,
    "spacing": _make_spacing,
    "ownership": _make_ownership,
    "objective": _make_objective,
    "teams": _make_teams,
    "persons": _make_persons,
}


@dataclass
class Programme:
    """A mixed-integer programme under construction; every column is binary."""

    width: int = 0
    cost: dict[int, float] = field(default_factory=dict)
    rows: list[tuple[dict[int, float], float, float]] = field(default_factory=list)

    def column(self, value: float = 0.0) -> int:
        """A new column worth `value`."""
        self.cost[self.width] = value
        self.width += 1
        return self.width - 1

    def row(self, entries: dict[int, float], low: float, high: float) -> None:
        """low <= entries . columns <= high."""
        self.rows.append((entries, low, high))

    def best(self) -> float | None:
        """Largest value, None when there is no solution."""
        line = np.repeat(np.arange(len(self.rows)), [len(entries) for entries, _, _ in self.rows])
        column = [c for entries, _, _ in self.rows for c in entries]
        value = [v for entries, _, _ in self.rows for v in entries.values()]
        matrix = csr_matrix((value, (line, column)), shape=(len(self.rows), self.width))
        limits = LinearConstraint(matrix, np.array([r[1] for r in self.rows]), np.array([r[2] for r in self.rows]))
        cost = -np.array([self.cost[c] for c in range(self.width)])
        answer = milp(
            cost, constraints=limits, integrality=np.ones(self.width), bounds=Bounds(0, 1),
            options={"mip_rel_gap": 0.0},
        )  # fmt: skip
        return None if answer.x is None else -float(answer.fun)


def value_of(c: Candidate, rules: LineupRules, points: float) -> float:
    """What the objective makes of a candidate in a slot that multiplies points so."""
    wanted = rules.objective
    floor, ceiling = c.floor or 0.0, c.ceiling or 0.0
    if wanted.measure == "mean":
        value = c.projection
    elif wanted.measure == "floor":
        value = floor
    elif wanted.measure == "ceiling":
        value = ceiling
    else:
        end = ceiling if wanted.blend_weight > 0 else floor
        value = c.projection + abs(wanted.blend_weight) * (end - c.projection)
    return value * points - wanted.leverage * (c.ownership or 0.0)


def score_of(lineup: Lineup, players: Sequence[Candidate], contest: Contest, rules: LineupRules) -> float:
    """The objective of a lineup."""
    by_id = {c.id: c for c in players}
    return sum(
        value_of(by_id[p.id], rules, slot.points_multiplier)
        for p, slot in zip(lineup.players, contest.slots, strict=True)
    )


class Oracle:
    """The best lineup of a request by HiGHS, given the lineups that came before."""

    def __init__(self, players: Sequence[Candidate], contest: Contest, rules: LineupRules) -> None:
        self.players, self.contest, self.rules = players, contest, rules
        self.programme = Programme()
        self.opponent = opponents(players)
        self.seat = {
            (i, s): self.programme.column(value_of(c, rules, slot.points_multiplier))
            for i, c in enumerate(players)
            for s, slot in enumerate(contest.slots)
            if set(slot.positions) & set(c.positions)
        }
        self._contest()
        self._named()
        self._stacks()
        self._spread()

    def best(self, earlier: Sequence[Lineup]) -> float | None:
        """Best objective still legal after `earlier`, None when there is none."""
        kept = list(self.programme.rows)
        self._earlier(earlier)
        found = self.programme.best()
        self.programme.rows = kept
        return found

    def holds(self, chosen: Collection[int], weight: float = 1.0) -> dict[int, float]:
        """Columns of these players."""
        wanted = set(chosen)
        return {column: weight for (i, _), column in self.seat.items() if i in wanted}

    def of(
        self, positions: frozenset[str] | None, *, team: str | None = None, game: str | None = None
    ) -> list[int]:
        """Players of these positions, one team or game where given."""
        return [
            i
            for i, c in enumerate(self.players)
            if (positions is None or positions & set(c.positions))
            and (team is None or c.team == team)
            and (game is None or c.game == game)
        ]

    def ids(self, ids: Collection[str]) -> list[int]:
        """Players with these ids."""
        return [i for i, c in enumerate(self.players) if c.id in ids]

    def _contest(self) -> None:
        contest, rules, row = self.contest, self.rules, self.programme.row
        size = contest.lineup_size
        for s in range(size):
            row({column: 1.0 for (_, at), column in self.seat.items() if at == s}, 1, 1)
        for person in {c.person or c.id for c in self.players}:
            row(self.holds([i for i, c in enumerate(self.players) if (c.person or c.id) == person]), 0, 1)
        salary = {
            column: round(self.players[i].salary_usd * contest.slots[s].salary_multiplier)
            for (i, s), column in self.seat.items()
        }
        cap = min(contest.salary_cap_usd or 10**9, rules.max_salary_usd or 10**9)
        row({column: float(usd) for column, usd in salary.items()}, rules.min_salary_usd, cap)
        most = min(contest.max_per_team, rules.max_per_team or size)
        for kind, names, at_most, at_least in (
            ("team", {c.team for c in self.players}, most, contest.min_teams),
            ("game", {c.game for c in self.players}, contest.max_per_game or size, contest.min_games),
        ):
            used = {}
            for name in sorted(names):
                members = self.holds(self.of(None, **{kind: name}))
                row(members, 0, at_most)
                used[self.programme.column()] = 1.0
                row(members | {self.programme.width - 1: -1.0}, 0, size)
            row(used, at_least, max(at_least, len(used)))
        for limit in contest.team_limits:
            for team in {c.team for c in self.players}:
                row(self.holds(self.of(limit.positions, team=team)), 0, limit.at_most)

    def _named(self) -> None:
        rules, row = self.rules, self.programme.row
        for id_ in rules.locked:
            row(self.holds(self.ids({id_})), 1, 1)
        row(self.holds(self.ids(rules.excluded)), 0, 0)
        for group in rules.groups:
            row(
                self.holds(self.ids(group.players)),
                group.at_least,
                MANY if group.at_most is None else group.at_most,
            )
        for condition in rules.conditions:
            for i in self.ids(condition.when):
                then = self.holds(self.ids(condition.then))
                least, most = dict(then), dict(then)
                for column in self.holds([i]):
                    least[column] = least.get(column, 0.0) - condition.at_least
                    most[column] = most.get(column, 0.0) + MANY
                row(least, 0, MANY)
                if condition.at_most is not None:
                    row(most, 0, MANY + condition.at_most)
        if rules.ownership is not None:
            shares = {column: self.players[i].ownership or 0.0 for (i, _), column in self.seat.items()}
            most_total = rules.ownership.max_total
            row(shares, rules.ownership.min_total or 0.0, MANY if most_total is None else most_total)

    def _stacks(self) -> None:
        rules, row = self.rules, self.programme.row
        teams, sides = sorted({c.team for c in self.players}), sides_of(self.players)
        used: dict[tuple[str, str], dict[int, float]] = {}

        def stack(asks: dict[str, list[tuple[list[int], int]]], kind: str) -> None:
            picked = {}
            for name, needs in asks.items():
                z = self.programme.column()
                picked[z] = 1.0
                used.setdefault((kind, name), {})[z] = 1.0
                for members, least in needs:
                    row(self.holds(members) | {z: -float(least)}, 0, MANY)
            row(picked, 1, max(1, len(picked)))

        for team_stack in rules.stacks:
            asks = {}
            for team in teams:
                if team_stack.teams is None or team in team_stack.teams:
                    rivals = {self.opponent[c.id] for c in self.players if c.team == team}
                    back = [i for rival in rivals for i in self.of(team_stack.bring_back_positions, team=rival)]
                    asks[team] = [
                        (self.of(team_stack.positions, team=team), team_stack.size),
                        (back, team_stack.bring_back),
                        *((self.of(positions, team=team), least) for positions, least in team_stack.roles),
                    ]
            stack(asks, "team")
        for game_stack in rules.game_stacks:
            stack(
                {
                    game: [
                        (self.of(game_stack.positions, game=game), game_stack.size),
                        *(
                            (self.of(game_stack.positions, game=game, team=side), game_stack.per_team)
                            for side in sides[game]
                        ),
                    ]
                    for game in sides
                    if len(sides[game]) > 1 or game_stack.per_team == 0
                },
                "game",
            )
        for columns in used.values():
            row(columns, 0, 1)

    def _spread(self) -> None:
        rules, row = self.rules, self.programme.row
        for opposing in rules.opposing:
            for i in self.of(opposing.positions):
                if self.opponent[self.players[i].id]:
                    theirs = self.holds(self.of(opposing.against, team=self.opponent[self.players[i].id]))
                    row(theirs | self.holds([i], MANY), 0, MANY + opposing.at_most)
        for same in rules.same_team:
            for team in {c.team for c in self.players}:
                if same.teams is None or team in same.teams:
                    row(self.holds(self.of(same.positions, team=team)), 0, same.at_most)
        if rules.spacing is not None:
            self._batting(rules.spacing.span)

    def _batting(self, span: int) -> None:
        row = self.programme.row
        if span:
            for team in {c.team for c in self.players}:
                runs = {first: self.programme.column() for first in range(9)}
                row(dict.fromkeys(runs.values(), 1.0), 1, 1)
                for i in self.of(None, team=team):
                    place = self.players[i].batting_order
                    if place:
                        covering = [runs[first] for first in runs if (place - 1 - first) % 9 < span]
                        row(self.holds([i]) | dict.fromkeys(covering, -1.0), -MANY, 0)

    def _earlier(self, earlier: Sequence[Lineup]) -> None:
        rules, row, size = self.rules, self.programme.row, self.contest.lineup_size
        n, at = rules.n, {c.id: i for i, c in enumerate(self.players)}
        lineups = [[at[p.id] for p in lineup.players] for lineup in earlier]
        most = size - rules.min_unique if rules.max_repeating is None else rules.max_repeating
        kinds = [(slot.points_multiplier, slot.salary_multiplier) for slot in self.contest.slots]
        for lineup in lineups:
            held = {(i, kind) for i, kind in zip(lineup, kinds, strict=True)}
            same = {column: 1.0 for (i, s), column in self.seat.items() if (i, kinds[s]) in held}
            row(same, 0, min(most, size - rules.min_unique))
        held_by = Counter(i for lineup in lineups for i in lineup)
        for i, c in enumerate(self.players):
            cap = rules.player_max_exposure.get(c.id, 1.0 if c.id in rules.locked else rules.max_exposure)
            if held_by[i] >= max(1, round(cap * 10_000) * n // 10_000):
                row(self.holds([i]), 0, 0)
        sets: list[tuple[list[int], int, float]] = []
        sets += [(self.ids(group.players), 1, group.max_exposure) for group in rules.groups]
        sets += [(self.of(None, team=t.team), t.players, t.max_exposure) for t in rules.team_exposures]
        for stack in rules.stacks:
            for team in stack.teams or {c.team for c in self.players}:
                sets.append((self.of(stack.positions, team=team), stack.size, stack.max_exposure))
        for game in rules.game_stacks:
            for name in {c.game for c in self.players}:
                sets.append((self.of(game.positions, game=name), game.size, game.max_exposure))
        for members, threshold, exposure in sets:
            count = sum(len(set(members) & set(lineup)) >= threshold for lineup in lineups)
            if count >= max(1, round(exposure * 10_000) * n // 10_000):
                row(self.holds(members), 0, threshold - 1)
