"""Judges a challenger against the champion, or against the best baseline, on games neither learned from.

Pure: models and frames in, evidence and decision out. Compared is the first target of the family's answers, by a
proper score (Brier for probabilities, CRPS for points, log loss for classes; lower is better), on the same rows of
both, resampled by game date.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from features.play.plays import NO_PLAYS, Plays
from features.tables import EASTERN, Tables
from features.views import Views
from models.answers import BASELINE, Answers
from models.backtesting.spreads import with_baseline_crps
from models.bundle import LoadedModel
from models.errors import TrainingError
from models.evaluation import Bootstrap, baseline_crps, class_losses, gate_of, headline, matrix
from models.experiments.evidence import Evidence, Scores
from models.experiments.gate import Action, GatePolicy, decide
from models.experiments.paired import PairedResult, paired_bootstrap
from models.families import family_of, judged_of
from models.metrics import Array, crps_losses, squared_errors
from models.projection.config import LEVELS

log = logging.getLogger(__name__)
#: A slice of fewer rows says too little to hold a promotion back.
LEAST_SLICE: Final = 100
#: The closing line is a yardstick of the reports; nobody could serve it, so no challenger has to beat it.
NO_RIVAL: Final = frozenset({"market"})
#: Days before the judged rows whose errors spread a baseline that gives points only.
SPREAD_DAYS: Final = 60
#: Resamples for the figures beside the comparison.
RESAMPLES: Final = 200


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's decision with its evidence; `evidence` is None when there was nothing to compare on."""

    action: Action
    reasons: tuple[str, ...]
    challenger: str
    champion: str | None
    evidence: Evidence | None

    def summary(self) -> str:
        """One line."""
        return f"{self.action}: {'; '.join(self.reasons)}"

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values, evidence included."""
        return {
            "action": self.action,
            "reasons": list(self.reasons),
            "challenger": self.challenger,
            "champion": self.champion,
            "evidence": None if self.evidence is None else self.evidence.as_json(),
        }


@dataclass(frozen=True, slots=True)
class Side:
    """One side's answers on the judged rows: loss per row, and the figures the gate looks at."""

    name: str
    losses: Array
    scores: Scores


def judge(
    challenger: LoadedModel,
    champion: LoadedModel | None,
    tables: Tables,
    views: Views,
    params: Mapping[str, Any],
    *,
    as_of: datetime,
    plays: Plays = NO_PLAYS,
) -> Verdict:
    """Compare on every labelled row after both models' last lesson and before the day of `as_of`.

    The opponent is the best baseline while there is no champion, or when the champion no longer answers: features
    it reads are gone, or its answers are not finite. A challenger that reads a label, or whose own answers are not
    finite, is rejected without a comparison.
    """
    version, kind = None if champion is None else champion.version, family_of(challenger.family)
    if leaked := sorted(set(challenger.features) & set(kind.TARGETS)):
        return Verdict(
            "reject", (f"its features {leaked} are what it is to predict",), challenger.version, version, None
        )
    learned = max(model.trained_through for model in (challenger, champion) if model is not None)
    today = as_of.astimezone(ZoneInfo(EASTERN)).date()
    rows = kind.labelled_rows(tables, views, plays=plays).filter(pl.col("game_date") < today)
    past, judged = rows.filter(pl.col("game_date") <= learned), rows.filter(pl.col("game_date") > learned)
    if judged["game_date"].n_unique() < 2:
        reason = f"fewer than two game dates after {learned}: nothing to compare on yet"
        return Verdict("hold", (reason,), challenger.version, version, None)
    known = judged_of(challenger.family).with_baselines(judged, past, tables)
    asked = _with_spreads(challenger, _answers(challenger, known), past, tables)
    if (share := _nan_rate(asked)) > 0:
        reason = f"answers are not finite numbers (share {share:.4f})"
        return Verdict("reject", (reason,), challenger.version, version, None)
    theirs = _champion(champion, known, params)
    if theirs is None:
        theirs = _best_baseline(asked, params)
    mine = _side(challenger, asked, params)
    evidence = _evidence(challenger, champion, asked.rows, mine, theirs, params)
    decision = decide(evidence, _policy(challenger.family, params))
    return Verdict(decision.action, decision.reasons, challenger.version, version, evidence)


def _with_spreads(model: LoadedModel, asked: Answers, past: pl.DataFrame, tables: Tables) -> Answers:
    """The answers with what each point baseline's distribution costs: its errors on the newest past rows around it."""

    def earlier() -> list[Answers]:
        newest = past["game_date"].max()
        assert isinstance(newest, date)  # noqa: S101 - a model has learned from past rows
        recent = pl.col("game_date") > newest - timedelta(days=SPREAD_DAYS)
        known = judged_of(model.family).with_baselines(past.filter(recent), past.filter(~recent), tables)
        return [_answers(model, known)]

    return with_baseline_crps([asked], earlier if past.height else None)[0]


def _answers(model: LoadedModel, rows: pl.DataFrame) -> Answers:
    """What the model answers to the family's first target."""
    return judged_of(model.family).answers(rows, model.outputs(rows), model.config)[0]


def _champion(champion: LoadedModel | None, rows: pl.DataFrame, params: Mapping[str, Any]) -> Side | None:
    """None when there is no champion to compare with, or none that still answers."""
    if champion is None:
        return None
    if gone := sorted(set(champion.features) - set(rows.columns)):
        log.warning(
            "champion %s version %s reads features that are gone: %s", champion.name, champion.version, gone
        )
        return None
    asked = _answers(champion, rows)
    if _nan_rate(asked) > 0:
        log.warning("champion %s version %s gives answers that are not finite", champion.name, champion.version)
        return None
    return _side(champion, asked, params)


def _side(model: LoadedModel, asked: Answers, params: Mapping[str, Any]) -> Side:
    return Side(f"{model.name} version {model.version}", _losses(asked), _scores(asked, params))


def _losses(asked: Answers) -> Array:
    """Proper score per row (n,): Brier, CRPS or log loss."""
    label = asked.rows["label"].cast(pl.Float64).to_numpy()
    if asked.kind == "probability":
        return squared_errors(_given(asked.probability), label)
    if asked.kind == "points":
        return crps_losses(_given(asked.quantiles), LEVELS, label)
    return class_losses(_given(asked.classes), label)


def _scores(asked: Answers, params: Mapping[str, Any]) -> Scores:
    told = headline(asked, gate=gate_of(params), bootstrap=Bootstrap(RESAMPLES))
    gated, covered = told.get("gated"), told.get("interval_80_coverage")
    return Scores(
        n=told["n"],
        loss=float(_losses(asked).mean()),
        ece=told["ece"]["value"] if "ece" in told else None,
        gate_n=gated["n"] if gated else None,
        gate_claimed=gated["claimed"]["value"] if gated and gated["n"] else None,
        gate_hit=gated["accuracy"]["value"] if gated and gated["n"] else None,
        gate_coverage=gated["coverage"]["value"] if gated else None,
        interval_coverage=covered["value"] if covered else None,
        interval_coverage_se=(covered["high"] - covered["low"]) / (2 * 1.96) if covered else None,
        nan_rate=_nan_rate(asked),
        more={name: told[name]["value"] for name in ("accuracy", "mae") if name in told}
        | {name: told[name] for name in ("base_rate",) if name in told},
    )


def _nan_rate(asked: Answers) -> float:
    """Share of rows with a figure that is not finite."""
    figures = [asked.probability, asked.mean, asked.quantiles, asked.classes]
    wide = np.column_stack([np.asarray(each, np.float64) for each in figures if each is not None])
    return float((~np.isfinite(wide)).any(axis=1).mean())


def _best_baseline(asked: Answers, params: Mapping[str, Any]) -> Side:
    """The baseline with the lowest loss on the judged rows themselves: the hardest one to beat.

    Nobody was served by a baseline, so answers it would have dared to give are no coverage to lose.
    """
    rivals = {name: _baseline_losses(asked, name) for name in asked.baselines if name not in NO_RIVAL}
    known = {name: losses for name, losses in rivals.items() if losses is not None and np.isfinite(losses).all()}
    if not known:
        raise TrainingError(
            f"no baseline of {asked.target} answers every judged row; collect earlier seasons first"
        )
    best = min(known, key=lambda name: float(known[name].mean()))
    more: dict[str, float] = {}
    if asked.kind == "points":
        point = asked.rows[f"{BASELINE}{best}"].cast(pl.Float64).to_numpy()
        more["mae"] = float(np.abs(point - asked.rows["label"].cast(pl.Float64).to_numpy()).mean())
    scores = Scores(n=asked.rows.height, loss=float(known[best].mean()), more=more)
    return Side(f"baseline {best}", known[best], scores)


def _baseline_losses(asked: Answers, name: str) -> Array | None:
    """As `_losses`, of a baseline; None when it has no answer to some row, or points without a distribution."""
    column = asked.rows[f"{BASELINE}{name}"]
    if column.null_count():
        return None
    if asked.kind == "points":
        return baseline_crps(asked, name)
    label = asked.rows["label"].cast(pl.Float64).to_numpy()
    if asked.kind == "probability":
        return squared_errors(column.cast(pl.Float64).to_numpy(), label)
    return class_losses(matrix(column), label)


def _given(values: Array | None) -> Array:
    """Arrays that the kind of the answers promises."""
    assert values is not None  # noqa: S101 - `Answers.kind` says which arrays are there
    return np.asarray(values, dtype=np.float64)


def _evidence(
    challenger: LoadedModel,
    champion: LoadedModel | None,
    rows: pl.DataFrame,
    mine: Side,
    theirs: Side,
    params: Mapping[str, Any],
) -> Evidence:
    dates = rows["game_date"]
    first, last = dates.min(), dates.max()
    assert isinstance(first, date) and isinstance(last, date)  # noqa: S101 - judge() saw two dates
    fresher = champion is not None and challenger.trained_through > champion.trained_through
    return Evidence(
        model_name=challenger.name,
        opponent=theirs.name,
        champion_version=None if champion is None else champion.version,
        challenger_version=challenger.version,
        metric=judged_of(challenger.family).METRIC,
        first_date=first,
        last_date=last,
        comparison=_paired(theirs.losses, mine.losses, dates, params),
        champion=theirs.scores,
        challenger=mine.scores,
        slices=_slices(rows, theirs.losses, mine.losses, params),
        declared_reason=f"trained on fresher games, through {challenger.trained_through}" if fresher else "",
        references={name: str(value) for name, value in challenger.bundle.references.items()},
    )


def _slices(rows: pl.DataFrame, theirs: Array, mine: Array, params: Mapping[str, Any]) -> dict[str, PairedResult]:
    """The comparison on parts of the rows: season phase, and for players role and venue, in game the moment."""
    parts: dict[str, pl.Expr] = {
        "regular season": pl.col("season_type") == "regular",
        "playoffs": pl.col("season_type") == "playoffs",
    }
    if {"starter", "is_home"} <= set(rows.columns):
        parts |= {"starters": pl.col("starter"), "bench": ~pl.col("starter"), "home": pl.col("is_home")}
    moments = rows["asked_at"].unique().sort().to_list()
    if len(moments) > 1:
        parts |= {f"asked at {moment}": pl.col("asked_at") == moment for moment in moments}
    found: dict[str, PairedResult] = {}
    for name, condition in parts.items():
        keep = rows.select(condition.fill_null(False)).to_series().to_numpy()
        dates = rows["game_date"].filter(pl.Series(keep))
        if keep.sum() >= LEAST_SLICE and dates.n_unique() >= 2:
            found[name] = _paired(theirs[keep], mine[keep], dates, params)
    return found


def _paired(theirs: Array, mine: Array, dates: pl.Series, params: Mapping[str, Any]) -> PairedResult:
    section = params["evaluate"]
    return paired_bootstrap(
        theirs, mine, dates.to_numpy(), n_boot=int(section["bootstrap"]), alpha=float(section["alpha"])
    )


def _policy(family: str, params: Mapping[str, Any]) -> GatePolicy:
    section = params["evaluate"]
    margin = float(section["non_inferiority"][family])
    return GatePolicy(
        margin=margin,
        max_slice_loss=4 * margin,
        max_ece=float(section["max_ece"]),
        max_gate_honesty=float(section["max_gate_honesty"]),
    )
