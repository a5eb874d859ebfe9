"""Judges a challenger against the champion, or against the best baseline, on games neither learned from.

Pure: models and frames in, evidence and decision out. Projections are judged by CRPS of DraftKings points,
winners by Brier score; both lower is better, both compared on the same rows and resampled by game date.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from features.labels import TARGETS
from features.tables import EASTERN, Tables
from features.views import Views
from models.baselines import game_baselines
from models.bundle import LoadedModel
from models.calibration import fit_residual_spread
from models.evaluation import INTERVAL
from models.experiments.evidence import Evidence, Scores
from models.experiments.gate import Action, GatePolicy, decide
from models.experiments.paired import PairedResult, paired_bootstrap
from models.families import family_of
from models.metrics import (
    Array,
    absolute_errors,
    crps_losses,
    expected_calibration_error,
    inside,
    mean_interval,
    squared_errors,
)
from models.projection.config import LEVELS
from models.report import EARLIER_GAMES, with_player_baselines
from models.selective import gated_report, hits

log = logging.getLogger(__name__)
SITE: Final = "draftkings"
LABEL: Final = f"fantasy_points_{SITE}"
#: A slice of fewer rows says too little to hold a promotion back.
LEAST_SLICE: Final = 100


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
class Answers:
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
) -> Verdict:
    """Compare on every labelled row after both models' last lesson and before the day of `as_of`.

    The opponent is the best baseline while there is no champion, or when the champion no longer answers: features
    it reads are gone, or its answers are not finite. A challenger that reads a label, or whose own answers are not
    finite, is rejected without a comparison.
    """
    version = None if champion is None else champion.version
    if leaked := sorted(set(challenger.features) & set(TARGETS)):
        return Verdict(
            "reject", (f"its features {leaked} are what it is to predict",), challenger.version, version, None
        )
    rows = family_of(challenger.family).labelled_rows(tables, views)
    if challenger.family == "projection":
        rows = with_player_baselines(rows, tables).filter(pl.col("earlier_games") >= EARLIER_GAMES)
    learned = max(model.trained_through for model in (challenger, champion) if model is not None)
    today = as_of.astimezone(ZoneInfo(EASTERN)).date()
    judged = rows.filter(pl.col("game_date").is_between(learned, today, closed="none"))
    if judged["game_date"].n_unique() < 2:
        reason = f"fewer than two game dates after {learned}: nothing to compare on yet"
        return Verdict("hold", (reason,), challenger.version, version, None)
    mine = _answers(challenger, judged, params)
    if mine.scores.nan_rate > 0:
        reason = f"answers are not finite numbers (share {mine.scores.nan_rate:.4f})"
        return Verdict("reject", (reason,), challenger.version, version, None)
    theirs = _champion_answers(champion, judged, params)
    if theirs is None:
        theirs = _best_baseline(judged, rows.filter(pl.col("game_date") <= learned), tables, params)
    evidence = _evidence(challenger, champion, judged, mine, theirs, params)
    decision = decide(evidence, _policy(challenger.family, params))
    return Verdict(decision.action, decision.reasons, challenger.version, version, evidence)


def _answers(model: LoadedModel, rows: pl.DataFrame, params: Mapping[str, Any]) -> Answers:
    name = f"{model.name} version {model.version}"
    if model.family == "win_probability":
        return _winner_answers(name, model.outputs(rows)["home_win_probability"], rows, params)
    index = list(model.config["sites"]).index(SITE)
    output = model.outputs(rows)
    return _point_answers(name, output["mean"][:, index], output["quantiles"][:, index], rows)


def _champion_answers(
    champion: LoadedModel | None, rows: pl.DataFrame, params: Mapping[str, Any]
) -> Answers | None:
    """None when there is no champion to compare with, or none that still answers."""
    if champion is None:
        return None
    if gone := sorted(set(champion.features) - set(rows.columns)):
        log.warning(
            "champion %s version %s reads features that are gone: %s", champion.name, champion.version, gone
        )
        return None
    answers = _answers(champion, rows, params)
    if answers.scores.nan_rate > 0:
        log.warning("champion %s version %s gives answers that are not finite", champion.name, champion.version)
        return None
    return answers


def _winner_answers(name: str, probability: Array, rows: pl.DataFrame, params: Mapping[str, Any]) -> Answers:
    label = rows["home_win"].cast(pl.Float64).to_numpy()
    losses = squared_errors(probability, label)
    gate = gated_report(probability, label, rows["game_date"].to_numpy(), gate=_gate(params), n_boot=200)
    scores = Scores(
        n=rows.height,
        loss=float(losses.mean()),
        ece=expected_calibration_error(probability, label),
        gate_n=gate["n"],
        gate_claimed=gate["claimed"]["value"] if gate["n"] else None,
        gate_hit=gate["accuracy"]["value"] if gate["n"] else None,
        gate_coverage=gate["coverage"]["value"],
        nan_rate=_nan_rate(probability[:, None]),
        more={"accuracy": float(hits(probability, label).mean()), "base_rate": float(label.mean())},
    )
    return Answers(name, losses, scores)


def _nan_rate(answers: Array) -> float:
    """Share of answers (n, figures) with a figure that is not finite."""
    return float((~np.isfinite(answers)).any(axis=1).mean())


def _point_answers(name: str, mean: Array, quantiles: Array, rows: pl.DataFrame) -> Answers:
    label = rows[LABEL].cast(pl.Float64).to_numpy()
    losses = crps_losses(quantiles, LEVELS, label)
    low, high = (LEVELS.index(level) for level in INTERVAL)
    covered = mean_interval(inside(quantiles[:, low], quantiles[:, high], label), rows["game_date"].to_numpy())
    scores = Scores(
        n=rows.height,
        loss=float(losses.mean()),
        interval_coverage=covered.value,
        interval_coverage_se=(covered.high - covered.low) / (2 * 1.96),
        nan_rate=_nan_rate(np.column_stack([mean, quantiles])),
        more={"mae": float(absolute_errors(mean, label).mean())},
    )
    return Answers(name, losses, scores)


def _best_baseline(rows: pl.DataFrame, past: pl.DataFrame, tables: Tables, params: Mapping[str, Any]) -> Answers:
    """The baseline with the lowest loss on the judged rows themselves: the hardest one to beat."""
    rivals: list[Answers] = []
    if LABEL in rows.columns:
        for name in ("season_mean", "ewma"):
            column = f"{name}_{SITE}"
            known = past.filter(pl.col(column).is_not_null())
            spread = fit_residual_spread(known[column].to_numpy(), known[LABEL].to_numpy(), np.asarray(LEVELS))
            point = rows[column].to_numpy()
            rivals.append(_point_answers(f"baseline {name}", point, spread.quantiles(point), rows))
    else:
        answers = rows.select("game_id").join(
            game_baselines(tables.games), on="game_id", how="left", maintain_order="left"
        )
        for name in ("home", "elo"):
            probability = answers[f"{name}_probability"].to_numpy()
            rival = _winner_answers(f"baseline {name}", probability, rows, params)
            # A baseline serves nobody: answering less often than an overconfident one is no loss of coverage.
            rivals.append(replace(rival, scores=replace(rival.scores, gate_coverage=None)))
    best = min(rivals, key=lambda rival: rival.scores.loss)
    # Nobody was served by a baseline, so answers it would have dared to give are nothing to lose.
    return replace(best, scores=replace(best.scores, gate_coverage=None))


def _evidence(
    challenger: LoadedModel,
    champion: LoadedModel | None,
    rows: pl.DataFrame,
    mine: Answers,
    theirs: Answers,
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
        metric=f"CRPS of {SITE} points" if LABEL in rows.columns else "Brier score",
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
    """The comparison on parts of the rows: role and venue for players, season phase for games."""
    parts: dict[str, pl.Expr] = {
        "regular season": pl.col("season_type") == "regular",
        "playoffs": pl.col("season_type") == "playoffs",
    }
    if LABEL in rows.columns:
        parts |= {"starters": pl.col("starter"), "bench": ~pl.col("starter"), "home": pl.col("is_home")}
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


def _gate(params: Mapping[str, Any]) -> float:
    return float(params["evaluate"]["gate"])
