"""Simulate a contest: scenarios, a field of opponents, candidate entries, the joint choice, an out-of-sample report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.contests import Contest, check_lineup
from features.errors import InvalidInput
from features.slate import Slate
from features.sources.payouts import Payouts, preset_payouts
from models.errors import Cancelled
from models.lineups.batch import optimal_by_scenario, row_scores
from models.lineups.compile import CompiledSlate, compile_pool, compile_slate
from models.lineups.core import ExactSearch
from models.lineups.draft import candidates, fitting
from models.lineups.optimize import lineups_of
from models.lineups.pool import MAX_LINEUPS, Pool
from models.lineups.portfolio import Portfolio, Solved, fill
from models.lineups.problem import Candidate
from models.lineups.rules import LineupRules
from models.lineups.scenarios import outcomes_of, sample_scenarios
from models.lineups.simulation.beliefs import ERROR, Beliefs, draw_beliefs, lean_ownership, lean_scenarios
from models.lineups.simulation.choose import choose
from models.lineups.simulation.field import STYLES, Field, FieldStyle, sample_fields
from models.lineups.simulation.payoff import (
    Match,
    Payoff,
    Progress,
    ScoreGrid,
    play_alone,
    play_together,
    score_grid,
)
from models.lineups.simulation.proposals import projection_only, propose, rows_of, uniqueness
from models.lineups.simulation.request import SimulationRequest
from models.lineups.simulation.result import SimulationResult, lineup_table, portfolio_figures
from models.ownership.config import Basis
from models.ownership.model import project_ownership

if TYPE_CHECKING:
    from models.projection.slate import SlateProjections

Rows = NDArray[np.int32]
#: Scenarios whose best lineup is taken for the optimal-lineup shares; a share of 10 % is then known to 0.7 points.
OPTIMAL_SCENARIOS = 2_000
#: What the seed of the scenarios that propose candidates lies above the seed of those that judge them.
DRAFTS = 1_000_003
#: Points over which prizes are evened out while entries are chosen; the report pays to the place.
BLUR_POINTS = 10.0


@dataclass(slots=True)
class _Run:
    """One simulation under way: what was asked, who listens, and how long each stage took."""

    wanted: SimulationRequest
    on_progress: Progress | None
    cancelled: Callable[[], bool] | None
    warnings: list[str] = field(default_factory=list)
    timings_ms: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage, announce its begin and end, and stop before it where cancelled."""
        if self.cancelled is not None and self.cancelled():
            raise Cancelled(f"the contest simulation was cancelled before stage {name!r}")
        self.report(name, 0, 1)
        started = time.perf_counter()
        yield
        self.timings_ms[name] = (time.perf_counter() - started) * 1e3
        self.report(name, 1, 1)

    def report(self, name: str, done: int, total: int) -> None:
        """Tell the listener, if any."""
        if self.on_progress is not None:
            self.on_progress(name, done, total)

    def within(self, name: str) -> Callable[[int, int], None]:
        """A listener for the steps of one stage."""
        return lambda done, total: self.report(name, done, total)


@dataclass(frozen=True, slots=True, eq=False)
class Opponents:
    """A field per group of scenarios."""

    beliefs: Beliefs
    fields: tuple[Field, ...]

    def matches(self, first: int, last: int) -> list[Match]:
        """Who plays in scenarios first..last - 1, counted from `first`."""
        return [Match(low, high, self.fields[group]) for group, low, high in self.beliefs.within(first, last)]

    def ownership(self, pool: Pool) -> NDArray[np.float64]:
        """Mean share of the fields that hold each candidate (P,)."""
        return np.asarray(np.mean([field.ownership(pool) for field in self.fields], axis=0))

    def copies(self, rows: Rows) -> list[float]:
        """Mean number of opposing entries with the same players, per lineup."""
        return [float(n) for n in np.mean([field.copies(rows) for field in self.fields], axis=0)]

    @property
    def unique_share(self) -> float:
        """Distinct lineups per entry, on average."""
        return float(np.mean([field.unique_share for field in self.fields]))


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """What everything is played on. `pool` holds the player's rules, `open_pool` the contest's alone; their rows are
    the same. `scores` (S, N) are points per row, `drafts` likewise of scenarios that only propose candidates: a lineup
    made to win a scenario must not be judged by it."""

    slate: CompiledSlate
    contest: Contest
    rules: LineupRules
    pool: Pool
    open_pool: Pool
    scores: NDArray[np.float32]
    drafts: NDArray[np.float32]
    grid: ScoreGrid
    payouts: Payouts


def simulate_contest(
    slate: Slate, projections: SlateProjections, contest: Contest, rules: LineupRules, wanted: SimulationRequest, *,
    on_progress: Progress | None = None, cancelled: Callable[[], bool] | None = None,
) -> SimulationResult:  # fmt: skip
    """Choose entries for a contest on one half of the simulated scenarios and report them on the other.

    Stages announced by `on_progress` (name, done, total): scenarios, ownership, field, baseline, candidates, contest,
    choose, report. Raises `InvalidInput` for fields out of range or lineups that are not legal, `Infeasible` where no
    lineup keeps the rules, `Cancelled` soon after `cancelled` says so.
    """
    wanted.check()
    run = _Run(wanted, on_progress, cancelled)
    with run.stage("scenarios"):
        players = _candidates(slate, projections.frame, contest)
        fitted = fitting(replace(rules, n=min(wanted.own, MAX_LINEUPS)), slate, contest, {c.id for c in players})
        open_pool = compile_pool(players, contest, LineupRules())
        basis = _basis(projections, run)
        outcomes = outcomes_of(slate, projections.frame)
        scenarios = sample_scenarios(outcomes, n=wanted.scenarios, seed=wanted.seed)
        drafts = row_scores(open_pool, sample_scenarios(outcomes, n=wanted.candidates, seed=wanted.seed + DRAFTS))
        beliefs = draw_beliefs(open_pool, wanted.scenarios, ERROR[basis], wanted.seed)
        scenarios = lean_scenarios(scenarios, open_pool, beliefs)
        scores = row_scores(open_pool, scenarios)
        payouts, grid = _payouts(run), score_grid(scores, scenarios.step, open_pool.size)
    with run.stage("ownership"):
        optimal = _optimal_share(open_pool, scores, run)
        shares = project_ownership(players, contest, optimal_share=optimal, basis=basis)
        table = _table(players, shares, contest, fitted, open_pool, scores, drafts, grid, payouts)
    with run.stage("field"):
        targets = lean_ownership(shares, beliefs, players, contest)
        fields, notes = sample_fields(
            open_pool, shares, targets, wanted.size - wanted.own, style=STYLES.get(contest.sport, FieldStyle()),
            seed=wanted.seed, optima=lambda beliefs: optimal_by_scenario(open_pool, beliefs).rows,
        )  # fmt: skip
        run.warnings += notes
        opponents = Opponents(beliefs, fields)
    with run.stage("baseline"):
        baseline = rows_of(table.pool, projection_only(table.slate, contest, fitted, fitted.n))
    if wanted.lineups is None:
        chosen, first = _choose(table, opponents, baseline, run), table.grid.scenarios // 2
    else:
        chosen, first = _given(table, slate, run), 0
    with run.stage("report"):
        return _report(table, opponents, chosen, baseline, first, shares, optimal, run)


def _candidates(slate: Slate, frame: pl.DataFrame, contest: Contest) -> tuple[Candidate, ...]:
    players = tuple(candidates(slate, frame, contest))
    if not players:
        raise InvalidInput(
            f"no player of slate {slate.slate_id} has a projection above 0; project the slate first"
        )
    return players


def _payouts(run: _Run) -> Payouts:
    wanted = run.wanted
    if wanted.payouts is None:
        payouts = preset_payouts("gpp", field_size=wanted.size)
        run.warnings.append(
            f"no payout table was given: a top-heavy one is assumed, ${payouts.entry_fee_usd:g} entry, "
            f"{payouts.rake:.1%} rake, {payouts.paid_places:,} of {wanted.size:,} places paid"
        )
        return payouts
    payouts = wanted.payouts.scaled(wanted.size)
    if wanted.size != wanted.payouts.field_size:
        run.warnings.append(
            f"the payout table is for {wanted.payouts.field_size:,} entries and was scaled to {wanted.size:,}"
        )
    run.warnings += payouts.problems()
    return payouts


def _table(
    players: tuple[Candidate, ...], shares: NDArray[np.float64], contest: Contest, rules: LineupRules, open_pool: Pool,
    scores: NDArray[np.float32], drafts: NDArray[np.float32], grid: ScoreGrid, payouts: Payouts,
) -> _Table:  # fmt: skip
    """The player's own pool, with projected ownership where he gave none, beside the open one."""
    owned = tuple(
        replace(c, ownership=float(share)) if c.ownership is None else c
        for c, share in zip(players, shares, strict=True)
    )
    slate = compile_slate(owned, contest)
    return _Table(
        slate, contest, rules, compile_pool(slate, contest, rules), open_pool, scores, drafts, grid, payouts
    )


def _basis(projections: SlateProjections, run: _Run) -> Basis:
    """Season averages know nothing of tonight; a champion's or the user's numbers do."""
    basis = projections.frame.filter(pl.col("mean") > 0)["basis"].to_list()
    if 2 * basis.count("file_average") <= len(basis):
        return "informed"
    run.warnings.append(
        "most projections are season averages, which miss tonight's news as the real field does not: returns are "
        "flattered, so read the differences between portfolios"
    )
    return "averages"


def _optimal_share(pool: Pool, scores: NDArray[np.float32], run: _Run) -> NDArray[np.float64]:
    """How often each candidate (P,) is in a scenario's best lineup, whatever the player's own rules."""
    best = optimal_by_scenario(
        pool, scores[:OPTIMAL_SCENARIOS], cancelled=run.cancelled, on_progress=run.within("ownership")
    )
    return np.asarray(best.optimal_share(pool), dtype=np.float64)


def _choose(table: _Table, opponents: Opponents, baseline: Rows, run: _Run) -> Rows:
    """Lineups chosen on the first half of the scenarios."""
    wanted, half = run.wanted, table.grid.scenarios // 2
    with run.stage("candidates"):
        proposals = propose(
            table.pool, table.drafts, table.slate, table.contest, table.rules, wanted.candidates,
            always=baseline, on_progress=run.within("candidates"), cancelled=run.cancelled,
        )  # fmt: skip
    with run.stage("contest"):
        prizes = table.payouts
        if wanted.objective == "win":
            prizes = Payouts(((1, 1, 1.0),), wanted.size, 0.0)
        alone = play_alone(
            table.grid.part(0, half), opponents.matches(0, half), proposals, prizes, keep_prizes=True,
            blur_points=BLUR_POINTS, on_progress=run.on_progress, cancelled=run.cancelled,
        )  # fmt: skip
        assert alone.prize_usd is not None  # noqa: S101
    with run.stage("choose"):
        chosen = choose(
            alone.prize_usd, proposals, table.pool, wanted.entries, wanted.entries * table.payouts.entry_fee_usd,
            objective=wanted.objective, min_unique=uniqueness(table.rules, table.pool), cancelled=run.cancelled,
        )  # fmt: skip
    run.warnings += chosen.warnings
    rows = _filled(table, proposals[list(chosen.index)], run)
    if len(rows) < wanted.entries:
        run.warnings.append(
            f"{wanted.entries} entries were asked for; only {len(rows)} distinct legal lineups exist under the rules"
        )
    return rows


def _filled(table: _Table, rows: Rows, run: _Run) -> Rows:
    """Where exposures ran the candidates dry, the best lineups by projection that they still allow are added."""
    unique = uniqueness(table.rules, table.pool)
    portfolio = Portfolio(table.pool, unique)
    for solved in _solved(table.pool, rows):
        portfolio.accept(solved)
    if len(portfolio.chosen) < run.wanted.entries:
        run.warnings.append(
            f"exposures left {len(portfolio.chosen)} of the candidates; the other entries are the best by projection: "
            "raise candidates or scenarios"
        )
        fill(portfolio, run.wanted.entries, ExactSearch(table.pool, unique), run.cancelled)
    return portfolio.rows().astype(np.int32)


def _given(table: _Table, slate: Slate, run: _Run) -> Rows:
    """The lineups asked about, checked."""
    lineups = run.wanted.lineups or ()
    for number, lineup in enumerate(lineups, start=1):
        problems = check_lineup(lineup, slate, table.contest)
        if problems:
            raise InvalidInput(f"lineup {number} is not legal in {table.contest.name}: {'; '.join(problems)}")
    return rows_of(table.open_pool, lineups)


def _report(
    table: _Table, opponents: Opponents, chosen: Rows, baseline: Rows, first: int, ownership: NDArray[np.float64],
    optimal: NDArray[np.float64], run: _Run,
) -> SimulationResult:  # fmt: skip
    grid = table.grid.part(first, table.grid.scenarios)
    fee = table.payouts.entry_fee_usd
    ours, theirs = (_played(grid, opponents, rows, table, run) for rows in (chosen, baseline))
    lineups = lineups_of(table.open_pool, _solved(table.open_pool, chosen))
    ids = [c.id for c in table.open_pool.candidates]
    names = [c.name for c in table.open_pool.candidates]
    held = pl.DataFrame(
        {"site_id": ids, "name": names, "projected": ownership, "field": opponents.ownership(table.open_pool)}
    )
    shares = pl.DataFrame({"site_id": ids, "name": names, "optimal": optimal})
    return SimulationResult(
        lineups=lineups,
        table=lineup_table(lineups, ours, opponents.copies(chosen), fee),
        portfolio=portfolio_figures(ours, fee),
        baseline=portfolio_figures(theirs, fee),
        ownership=held.sort("projected", descending=True),
        optimal_share=shares.sort("optimal", descending=True),
        contest=_contest(table, opponents, grid, run.wanted),
        warnings=tuple(dict.fromkeys(run.warnings)),
        timings_ms=dict(run.timings_ms),
    )


def _solved(pool: Pool, rows: Rows) -> list[Solved]:
    """Pool rows as found lineups; entries are chosen, not proven, so their bound is their own projection."""
    points = pool.projection[rows].sum(axis=1).tolist()
    return [Solved(tuple(line), value, value) for line, value in zip(rows.tolist(), points, strict=True)]


def _played(grid: ScoreGrid, opponents: Opponents, rows: Rows, table: _Table, run: _Run) -> Payoff:
    """Play entries together in the last scenarios, as many as `grid` holds."""
    everything = table.grid.scenarios
    matches = opponents.matches(everything - grid.scenarios, everything)
    return play_together(grid, matches, rows, table.payouts, on_progress=run.on_progress, cancelled=run.cancelled)


def _contest(table: _Table, opponents: Opponents, grid: ScoreGrid, wanted: SimulationRequest) -> dict[str, Any]:
    payouts = table.payouts
    return {
        "name": table.contest.name,
        "field_size": wanted.size,
        "entry_fee_usd": payouts.entry_fee_usd,
        "prize_pool_usd": round(payouts.pool_usd, 2),
        "rake": round(payouts.rake, 4),
        "paid_places": payouts.paid_places,
        "first_prize_usd": payouts.prize_usd(1),
        "field_unique_share": round(opponents.unique_share, 4),
        "scenarios": wanted.scenarios,
        "scenarios_reported": grid.scenarios,
        "objective": wanted.objective,
        "seed": wanted.seed,
    }
