"""Enters every real contest of a data folder with lineups from before its lock, and ranks them in its real field.

Per contest, whose projections x what was known to be out x how the portfolio is chosen. `recorded` knows only what the
files say (no injuries, in most salary files); `inactives` treats players without a box row that evening as ruled out,
much as the inactive lists half an hour before tip-off would have told: it is reconstructed, and labelled so. It knows a
little more than they did, since box scores also lack those who dressed and never came in (the end of the bench).
Own entries join the real field; they pay the fee of the payout table nearest in size, scaled to that many entries.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from features.errors import FantasyError, InvalidInput
from features.files import replace_file
from features.params import read_params
from features.sources.payouts import Payouts
from features.tables import Tables
from flows.backtest import read_tables
from flows.entrants import SOURCES, VARIANTS, Entrants, Evening, evening_of
from flows.progress import Step, step
from flows.real_contests import ContestFolder, RealContest, Skipped
from flows.settings import FlowSettings
from models.evaluation import Bootstrap
from models.lineups.grading import field_standing

if TYPE_CHECKING:
    from models.lineups.problem import Lineup
    from models.projection.slate import SlateProjections
    from models.training.as_of import AsOfModels

#: What the simulation may choose entries by (`models.lineups.simulation.choose`).
OBJECTIVES: Final = ("log_utility", "roi", "win")
PORTFOLIOS: Final = ("projection", "simulation")
#: Share of the field a good entry beats: the reference counts entries above it.
GOOD: Final = 0.78
FIGURES: Final = ("mean_percentile", "above_78", "cash_rate", "roi")


@dataclass(frozen=True, slots=True)
class BacktestWords:
    """What to run. `sources` are of `flows.entrants.SOURCES`; a model is trained anew every `retrain_days`."""

    entries: int = 150
    scenarios: int = 10_000
    candidates: int = 5_000
    max_exposure: float = 0.5
    retrain_days: int = 30
    sources: tuple[str, ...] = SOURCES
    seed: int = 0
    objective: str = "log_utility"


def backtest_contests(data: Path | None, words: BacktestWords, *, out: Path | None = None) -> dict[str, Any]:
    """Run every contest that can be graded; return the report (plain JSON values) and write it to `out`.

    Raises `InvalidInput` for no data folder or manifest, or words that make no sense.
    """
    folder = data or FlowSettings().data
    if folder is None:
        raise InvalidInput("a contest backtest needs real contests: pass --data DIR or set FANTASY_DATA")
    _check(words)
    began = time.perf_counter()
    contests, skipped, where = _contests(folder)
    tables, notes = _tables(folder)
    entrants = Entrants(words.sources, _models(tables, contests, words), words.max_exposure, words.entries)
    rows: list[dict[str, Any]] = []
    with step("enter the contests") as shown:
        for number, contest in enumerate(contests):
            found, missed = _enter(contest, where, entrants, tables, words, shown, (number, len(contests)))
            rows += found
            skipped += missed
        shown.summary = f"{len(rows)} portfolios in {len(contests)} contests"
    report = _report(rows, skipped, notes, words, entrants) | {"seconds": round(time.perf_counter() - began, 1)}
    if out is not None:
        text = json.dumps(report, indent=1) + "\n"
        out.parent.mkdir(parents=True, exist_ok=True)
        replace_file(out, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    return report


def _check(words: BacktestWords) -> None:
    unknown = [source for source in words.sources if source not in SOURCES]
    if unknown or not words.sources:
        raise InvalidInput(f"--sources {unknown or 'nothing'} is not known; choose of {', '.join(SOURCES)}")
    if not 1 <= words.entries <= 150:
        raise InvalidInput(f"--entries {words.entries}: a contest takes 1 to 150 entries of one person")
    if words.objective not in OBJECTIVES:
        raise InvalidInput(f"--choose-by {words.objective!r} is not known; choose one of {', '.join(OBJECTIVES)}")
    if words.retrain_days < 1:
        raise InvalidInput(f"--retrain-days {words.retrain_days}: a model lives for 1 day or more")
    if not 0 < words.max_exposure <= 1:
        raise InvalidInput(f"--exposure {words.max_exposure} must be above 0 and at most 1")


def _contests(folder: Path) -> tuple[list[RealContest], list[Skipped], ContestFolder]:
    where = ContestFolder.open(folder)
    found: list[RealContest] = []
    skipped: list[Skipped] = []
    with step("read the contests") as shown:
        rows = where.finals()
        for number, row in enumerate(rows):
            shown.update(str(row["file"]), number, len(rows))
            contest = where.read(row)
            if isinstance(contest, Skipped):
                skipped.append(contest)
            else:
                found.append(contest)
        shown.summary = f"{len(found)} of {len(rows)} can be entered"
    return found, skipped, where


def _tables(folder: Path) -> tuple[Tables | None, list[str]]:
    with step("read recorded seasons") as shown:
        try:
            tables = read_tables(folder)
        except (FantasyError, ValueError, KeyError) as error:
            shown.summary = "none"
            return None, [f"no recorded seasons ({error}): no model, and nobody is known to have been out"]
        shown.summary = f"{tables.box.height:,} player-games"
    return tables, []


def _models(tables: Tables | None, contests: Sequence[RealContest], words: BacktestWords) -> AsOfModels | None:
    days = [contest.day for contest in contests if contest.slate.sport == "nba"]
    if tables is None or "model" not in words.sources or not days:
        return None
    with step("load Lightning"):
        from features.views import compute_views
        from models.training.as_of import AsOfModels, training_days
    starts = training_days(days, words.retrain_days)
    last = max(days)
    # Nothing of the last contest's own evening or later can reach a model or its features.
    known = Tables(tables.games.filter(pl.col("game_date") < last), tables.box.filter(pl.col("game_date") < last))
    with step("compute feature views"):
        views = compute_views(known)
    return AsOfModels(known, views, read_params(), starts)


def _enter(
    contest: RealContest,
    where: ContestFolder,
    entrants: Entrants,
    tables: Tables | None,
    words: BacktestWords,
    shown: Step,
    at: tuple[int, int],
) -> tuple[list[dict[str, Any]], list[Skipped]]:
    """Every portfolio of one contest, and what could not be built."""
    rows: list[dict[str, Any]] = []
    missed: list[Skipped] = []
    evening = evening_of(contest, tables)
    if evening.basis == "nothing":
        return [], [Skipped(contest.name, "neither box scores of its day nor points per player in its file")]
    payouts, table = where.payouts(contest.slate.site, contest.slate.sport, contest.field_size)
    payouts = payouts.scaled(contest.field_size + words.entries)
    for source in words.sources:
        for variant in VARIANTS:
            shown.update(f"{contest.name} {source} {variant}", *at)
            what = f"{contest.name} {source} {variant}"
            try:
                projections = entrants.project(source, variant, evening)
                if isinstance(projections, str):
                    missed.append(Skipped(what, projections))
                    continue
                for portfolio in PORTFOLIOS:
                    lineups = _lineups(portfolio, entrants, evening, projections, payouts, words)
                    rows.append(
                        {
                            "contest": contest.name,
                            "date": contest.day.isoformat(),
                            "source": source,
                            "variant": variant,
                            "portfolio": portfolio,
                            "projected_by": f"{projections.model_name} {projections.model_version}".strip(),
                            "fallback": projections.fallback,
                            **graded(lineups, evening, payouts),
                            "payout_table": table,
                            "points_from": evening.basis,
                        }
                    )
            except FantasyError as error:
                missed.append(Skipped(what, str(error)))
    return rows, missed


def _lineups(
    portfolio: str,
    entrants: Entrants,
    evening: Evening,
    projections: SlateProjections,
    payouts: Payouts,
    words: BacktestWords,
) -> tuple[Lineup, ...]:
    from models.lineups.draft import draft
    from models.lineups.simulation.contest_run import simulate_contest
    from models.lineups.simulation.request import SimulationRequest

    slate, contest = evening.slate, evening.contest.contest
    if portfolio == "projection":
        return draft(slate, projections, contest, entrants.rules).lineups
    request = SimulationRequest(
        entries=words.entries,
        scenarios=words.scenarios,
        field_size=payouts.field_size,
        candidates=words.candidates,
        payouts=payouts,
        seed=words.seed,
        objective=words.objective,  # type: ignore[arg-type]  # checked by the simulator
    )
    return simulate_contest(slate, projections, contest, entrants.rules, request).lineups


def graded(lineups: Sequence[Lineup], evening: Evening, payouts: Payouts) -> dict[str, Any]:
    """What the lineups really scored and won among the real entries, of which they are added to the number.

    Percentiles are against the real field alone (ties count half); prizes split ties, own entries included.
    """
    scores = np.array([evening.score(lineup) for lineup in lineups])
    standing = field_standing(pl.Series("points", scores), evening.contest.standings)
    percentile = standing["field_percentile"].to_numpy()
    prizes = prizes_usd(scores, evening.contest.standings.entries["points"].to_numpy(), payouts)
    fees = payouts.entry_fee_usd * len(lineups)
    seats = [player.id for lineup in lineups for player in lineup.players]
    return {
        "field_size": evening.contest.field_size,
        "lineups": len(lineups),
        "mean_points": float(scores.mean()),
        "mean_percentile": float(percentile.mean()),
        "best_percentile": float(percentile.max()),
        "above_78": float((percentile > GOOD).mean()),
        "best_rank": int(standing["rank"].min()),  # type: ignore[arg-type]
        "cash_rate": float((prizes > 0).mean()),
        "prize_usd": round(float(prizes.sum()), 2),
        "fees_usd": round(fees, 2),
        "roi": float(prizes.sum() / fees - 1),
        "seats_unplayed": float(np.mean([id_ in evening.absent for id_ in seats])),
    }


def prizes_usd(own: np.ndarray[Any, Any], field: np.ndarray[Any, Any], payouts: Payouts) -> np.ndarray[Any, Any]:
    """Prize of each own score when all join the field: the prizes of the places its tie spans, shared equally."""
    scores = np.sort(np.round(np.concatenate([field, own]), 4))
    mine = np.round(own, 4)
    not_above = np.searchsorted(scores, mine, side="right")
    tied = not_above - np.searchsorted(scores, mine, side="left")
    better = scores.size - not_above
    total = payouts.cumulative_usd(scores.size)
    return np.asarray((total[better + tied] - total[better]) / tied)


def _report(
    rows: list[dict[str, Any]],
    skipped: Sequence[Skipped],
    notes: Sequence[str],
    words: BacktestWords,
    entrants: Entrants,
) -> dict[str, Any]:
    contests = sorted({(row["date"], row["contest"]) for row in rows})
    return {
        **asdict(words),
        "contests": [{"date": day, "contest": name} for day, name in contests],
        "trained_before": [start.isoformat() for start in entrants.starts],
        "summary": summarize(rows),
        "rows": rows,
        "skipped": [asdict(each) for each in skipped],
        "notes": [
            *notes,
            "recorded: out is who the salary file marks out. inactives: players without a box row that evening are "
            "ruled out, much as the inactive lists before tip-off would have told; made from box scores, it "
            "also knows who dressed and never came in",
            "percentiles are against the real entries; own entries join the field and pay the nearest payout table's "
            "fee, scaled to the field they make; intervals resample contest dates",
            f"every model has learned only from games before one of {[s.isoformat() for s in entrants.starts]}; "
            "features are as of each slate's lock",
        ],
    }


def summarize(rows: Sequence[dict[str, Any]], bootstrap: Bootstrap | None = None) -> list[dict[str, Any]]:
    """Means over contests per source, variant and portfolio, with intervals that resample contest dates."""
    drawn = bootstrap or Bootstrap()
    summary = []
    for key in dict.fromkeys((row["source"], row["variant"], row["portfolio"]) for row in rows):
        mine = [row for row in rows if (row["source"], row["variant"], row["portfolio"]) == key]
        dates = np.array([date.fromisoformat(row["date"]).toordinal() for row in mine])
        figures = {name: drawn.mean([row[name] for row in mine], dates) for name in FIGURES}
        said = dict(zip(("source", "variant", "portfolio"), key, strict=True))
        summary.append({**said, "contests": len(mine), **figures})
    return summary
