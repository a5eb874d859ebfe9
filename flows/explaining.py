"""Why a projection, a win probability, a lineup or an answer that was served is what it is: `fantasy explain`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import numpy as np
import polars as pl

from features.contests import load_contest
from features.errors import InvalidInput, NotMaterialized
from features.scoring import SITES
from features.slate import Slate
from features.sources.player_names import match_players
from features.stores.database import Database
from features.stores.offline import OfflineStore
from features.stores.predictions import ServedPrediction, load_prediction
from features.stores.slates import load_slate
from features.views import VIEW_VERSIONS, Views
from features.workspace import LEAGUES, Workspace
from flows.drafting import ProjectedSlate, open_slate, project
from flows.grading import built_lineups
from flows.rules_file import find_player
from flows.settings import FlowSettings
from models.bundle import LoadedModel, load_bundle
from models.champion import find_champion
from models.explanation import Answer, Explanation, explain
from models.lifecycle import open_registry
from models.projection.slate import SlateProjections, project_slate
from models.win_probability.data import POINTS
from models.win_probability.slate import slate_game_rows

#: A served answer is reproduced when it comes out within this share of itself (float32 sums in another order).
REPRODUCED: Final = 1e-5
#: What stands for the model while no winner model is champion.
ELO: Final = "baseline-elo"
#: Points of a lineup may differ from what was built by rounding only.
SAME_POINTS: Final = 0.01


@dataclass(frozen=True, slots=True)
class Explained:
    """One answer and its reasons. `basis` is champion, or what else the answer comes from: `explanation` is then None.

    `as_of` is the moment it is asked for (lock, UTC), `data_timestamp` the newest moment known of the players then.
    """

    subject: str
    target: str
    answer: float
    basis: str
    explanation: Explanation | None
    model: dict[str, str]
    as_of: datetime | None
    data_timestamp: datetime | None
    warnings: tuple[str, ...] = ()

    @property
    def base(self) -> float:
        """What the contributions are added to; the answer itself where the model has none."""
        return self.answer if self.explanation is None else self.explanation.base

    def as_json(self) -> dict[str, Any]:
        """Machine form of `fantasy explain player|game --json`."""
        reasons = [] if self.explanation is None else self.explanation.as_json()["contributions"]
        return {
            "subject": self.subject, "target": self.target, "answer": self.answer, "base": self.base,
            "contributions": reasons, "basis": self.basis, "model": self.model, "view_versions": dict(VIEW_VERSIONS),
            "as_of": self.as_of, "data_timestamp": self.data_timestamp, "fallback": self.basis != "champion",
            "warnings": list(self.warnings),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class ExplainedLineup:
    """A lineup's players, each with his slot's factor on points; `built` is what it projected when it was built."""

    rank: int
    players: tuple[tuple[Explained, float], ...]
    built: float
    warnings: tuple[str, ...]

    @property
    def answer(self) -> float:
        """Its projection now."""
        return sum(factor * player.answer for player, factor in self.players)

    @property
    def base(self) -> float:
        """The sum of its players' bases."""
        return sum(factor * player.base for player, factor in self.players)

    def contributions(self) -> dict[str, float]:
        """Group -> points, the largest first; with `base` they sum to `answer`."""
        found: dict[str, float] = {}
        for player, factor in self.players:
            for each in player.explanation.contributions if player.explanation else ():
                found[each.group] = found.get(each.group, 0.0) + factor * each.amount
        return dict(sorted(found.items(), key=lambda item: -abs(item[1])))

    def as_json(self) -> dict[str, Any]:
        """Machine form of `fantasy explain lineup --json`."""
        return {
            "rank": self.rank, "answer": self.answer, "base": self.base, "built_projection": self.built,
            "contributions": [{"group": name, "amount": each} for name, each in self.contributions().items()],
            "players": [{**player.as_json(), "points_factor": factor} for player, factor in self.players],
            "warnings": list(self.warnings),
        }  # fmt: skip


def choose_slate(
    salaries: Path | None, *, league: str, site: str | None, mode: str | None = None, day: date | None = None
) -> ProjectedSlate:
    """The salary file's slate, or else the newest that was collected or built from; projected as of its lock.

    Raises `NotMaterialized` when there is none.
    """
    if salaries is not None:
        return project(open_slate(salaries, site=site, mode=mode, day=day), league=league)
    home = FlowSettings().home
    found = [
        (slate.lock, -SITES.index(slate.site), name, slate)
        for name in LEAGUES
        if league in ("auto", name)
        for slate in OfflineStore(Workspace(home, name)).read_slates()
        if slate.lock is not None and site in (None, slate.site)
    ]
    if not found:
        raise NotMaterialized("no slate is known yet: run `fantasy run`, or pass --salaries FILE")
    _, _, name, slate = max(found, key=lambda each: each[:3])
    return project(slate, league=name)


def explain_player(projected: ProjectedSlate, who: str) -> Explained:
    """Why this player of the slate is projected as he is. Raises `InvalidInput` when nobody, or several, are meant."""
    champion = find_champion(projected.workspace, "projection", None)
    site_id = find_player(projected.slate, who, "player")[0]
    return player_reasons(projected.slate, projected.projections, champion.model if champion else None, site_id)


def player_reasons(
    slate: Slate, projections: SlateProjections, model: LoadedModel | None, site_id: str
) -> Explained:
    """The reasons of one salary row; `projections` are those of `model` for the slate."""
    row = projections.frame.row(by_predicate=pl.col("site_id") == site_id, named=True)
    explanation = None
    if row["basis"] == "champion" and model is not None and projections.answered is not None:
        asked = projections.answered.rows.filter(pl.col("player_id") == row["player_id"])
        explanation = explain(model, asked, points_on(model, slate.site))
    return Explained(
        subject=f"{row['name']} ({row['team']})",
        target=f"fantasy_points_{slate.site}",
        answer=row["mean"] if explanation is None else explanation.answer,
        basis=row["basis"],
        explanation=explanation,
        model={"name": projections.model_name, "version": projections.model_version},
        as_of=slate.lock,
        data_timestamp=projections.data_timestamp,
        warnings=projections.warnings,
    )


def explain_game(projected: ProjectedSlate, which: str) -> Explained:
    """Why the home team of a slate's game wins with this probability; `which` is AWAY@HOME or one of the teams."""
    champion = find_champion(projected.workspace, "win_probability", None)
    views = OfflineStore(projected.workspace).read_views()
    return game_reasons(projected, views, champion.model if champion else None, which)


def game_reasons(projected: ProjectedSlate, views: Views, model: LoadedModel | None, which: str) -> Explained:
    """The reasons of one game; without a model Elo answers, which has no parts."""
    slate = projected.slate
    if slate.sport != "nba" or slate.lock is None:
        raise InvalidInput(
            f"slate {slate.slate_id}: winners are answered for NBA slates that have a date (--date)"
        )
    rows = slate_game_rows(slate, views)
    wanted = which.strip().upper()
    found = rows.filter(
        (pl.col("home_team") == wanted)
        | (pl.col("away_team") == wanted)
        | (pl.concat_str("away_team", pl.lit("@"), "home_team") == wanted)
    )
    if found.height != 1:
        games = ", ".join(f"{row['away_team']}@{row['home_team']}" for row in rows.iter_rows(named=True))
        raise InvalidInput(f"game {which!r} is not one game of this slate; it has {games}")
    game = found.row(0, named=True)
    explanation = None if model is None else explain(model, found, home_win)
    elo = game["elo_home_win"]
    return Explained(
        subject=f"{game['away_team']} @ {game['home_team']}",
        target="home_win",
        answer=(0.5 if elo is None else float(elo)) if explanation is None else explanation.answer,
        basis="champion" if model else ELO,
        explanation=explanation,
        model={"name": model.name, "version": model.version} if model
        else {"name": ELO, "version": VIEW_VERSIONS["team_strength"]},
        as_of=slate.lock,
        data_timestamp=projected.projections.data_timestamp,
        warnings=() if model else ("no winner model of this league is champion: this is Elo's probability",),
    )  # fmt: skip


def explain_lineup(rank: int, lineups_file: Path | None) -> ExplainedLineup:
    """Why a lineup that `fantasy lineups` built projects what it does, player by player.

    Raises `NotMaterialized` when none was built, `InvalidInput` when there is no lineup of this rank.
    """
    built, lineups, workspace = built_lineups(FlowSettings(), lineups_file)
    if not 1 <= rank <= len(lineups):
        raise InvalidInput(
            f"lineup {rank} is not among the {len(lineups)} that were built; give 1 to {len(lineups)}"
        )
    lineup, slate = lineups[rank - 1], OfflineStore(workspace).read_slate(built["slate"]["id"])
    projected = project(slate, league=workspace.league)
    champion = find_champion(workspace, "projection", None)
    model = champion.model if champion else None
    factors = {
        slot.name: slot.points_multiplier for slot in load_contest(slate.site, slate.sport, slate.mode).slots
    }
    players = tuple(
        (player_reasons(projected.slate, projected.projections, model, each.id), factors[each.slot])
        for each in lineup.players
    )
    found = ExplainedLineup(rank, players, lineup.projection, projected.projections.warnings)
    if abs(found.answer - lineup.projection) <= SAME_POINTS:
        return found
    built_by = f"{built['model']['name']} version {built['model']['version'] or '–'}"
    moved = (
        f"it was built at {lineup.projection:.2f} points by {built_by} or numbers of your own; these are the "
        f"reasons of {projected.model['name']} version {projected.model['version'] or '–'} now: {found.answer:.2f}"
    )
    return ExplainedLineup(rank, players, lineup.projection, (moved, *found.warnings))


def explain_prediction(prediction_id: UUID, settings: FlowSettings) -> Explained:
    """Why an answer that the API served before lock is what it is, by the model version that gave it.

    PostgreSQL and MLflow must answer. Raises `NotMaterialized` for an id nobody recorded.
    """
    with open_registry(settings) as registry:
        database = Database(settings.database_url)
        try:
            served = load_prediction(database, prediction_id)
            if served.slate_id is None or served.fallback or served.target in POINTS:
                raise InvalidInput(
                    f"prediction {prediction_id} ({served.target}, asked {served.asked_at}, model {served.model_name}) "
                    "has no features before lock to be explained by: only projections and winners of a slate have"
                )
            stored = load_slate(database, served.slate_id)
        finally:
            database.close()
        workspace = Workspace(settings.home, stored.league)
        version = registry.version(served.model_name, served.model_version)
        folder = registry.download(version, workspace.bundles / "cache")
    return explain_served(served, stored.slate, load_bundle(folder, version=version.version), workspace)


def explain_served(served: ServedPrediction, slate: Slate, model: LoadedModel, workspace: Workspace) -> Explained:
    """Rebuild what a served answer was asked with, as it was known then, and give its reasons.

    The warnings say when the model's answer to that is not what was served. Raises `InvalidInput` when the slate
    lists the player no more.
    """
    views = {
        name: _known_by(view, served.data_timestamp) for name, view in OfflineStore(workspace).read_views().items()
    }
    directory = views.pop("player_directory")
    if slate.source != "simulated":
        slate = match_players(slate, directory).slate
    projections = project_slate(slate, model if model.family == "projection" else None, views, directory)
    projected = ProjectedSlate(slate, None, projections, workspace)
    if served.target == "home_win":
        found = game_reasons(projected, views, model, served.game_id)
        answer = served.probability
    else:
        row = projections.frame.filter(pl.col("player_id") == served.player_id)
        if row.is_empty():
            raise InvalidInput(
                f"player {served.player_id} is on slate {slate.slate_id} no more; it was written anew"
            )
        found, answer = player_reasons(slate, projections, model, row["site_id"][0]), served.mean
    missed = [] if answer is None or abs(found.answer - answer) <= REPRODUCED * max(1.0, abs(answer)) else [
        f"served as {answer:.6g}, comes out as {found.answer:.6g}: slate or data were written anew since"
    ]  # fmt: skip
    if served.view_versions != VIEW_VERSIONS:
        missed.append(f"served with views {served.view_versions}, this code computes {VIEW_VERSIONS}")
    return Explained(
        found.subject, found.target, found.answer, found.basis, found.explanation, found.model, found.as_of,
        served.data_timestamp, tuple(missed),
    )  # fmt: skip


def points_on(model: LoadedModel, site: str) -> Answer:
    """Fantasy points on `site`, the chance of not playing mixed in: what a slate's projection is."""
    index = list(model.config["sites"]).index(site)
    return lambda output: np.asarray(output["p_play"] * output["mean"][:, index], dtype=np.float64)


def home_win(output: Any) -> Any:
    """P(home win)."""
    return np.asarray(output["home_win_probability"], dtype=np.float64)


def _known_by(view: pl.DataFrame, moment: datetime | None) -> pl.DataFrame:
    return (
        view if moment is None or "known_time" not in view.columns else view.filter(pl.col("known_time") <= moment)
    )
