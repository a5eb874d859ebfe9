"""A slate's projections: the champion's answer for every salary row, or the file's average where it has none."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from statistics import NormalDist
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.scoring import Site
from features.slate import Slate, SlatePlayer
from features.tables import EASTERN
from features.views import ANNOUNCED_FEATURES, Views, player_rows
from features.views.entities import OUT_STATUSES as RULED_OUT
from features.views.entities import slate_entities
from models.bundle import LoadedModel
from models.calibration import ResidualSpread
from models.projection import newcomer
from models.projection.config import LEVELS

#: Injury marks that say a player will not play; `IL` is Yahoo's.
OUT_STATUSES: Final = RULED_OUT | {"IL"}
#: Quantiles of the answer.
ASKED: Final[dict[str, float]] = {"q10": 0.10, "q50": 0.50, "q90": 0.90}
#: Spread of a file average when there is no model to tell it: standard deviation = BASE + SHARE x average, the
#: line through the residuals of real season means (NBA 2020-24, DraftKings points).
AVERAGE_SD_BASE: Final = 8.0
AVERAGE_SD_SHARE: Final = 0.10
SCHEMA: Final[dict[str, Any]] = {
    "site_id": pl.String, "name": pl.String, "team": pl.String, "positions": pl.List(pl.String),
    "salary": pl.Int64, "player_id": pl.Int32, "mean": pl.Float64, "q10": pl.Float64, "q50": pl.Float64,
    "q90": pl.Float64, "p_play": pl.Float64, "basis": pl.String,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answered:
    """What the champion was asked (`rows`, feature rows of players) and its `output` on them, all of it."""

    rows: pl.DataFrame
    output: dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class SlateProjections:
    """One row per salary row, in the slate's order.

    `mean` and quantiles are fantasy points on the slate's site with the chance of not playing (0 points) mixed
    in. `basis` says where they come from: champion, file_average, prior (of newcomers), user, or out. `data_timestamp`
    is the newest moment known at lock (UTC); `fallback` means that no row comes from the champion. `answered` is for
    who reads more of the champion's answer than points; None where it did not answer.
    """

    frame: pl.DataFrame
    model_name: str
    model_version: str
    fallback: bool
    data_timestamp: datetime | None
    warnings: tuple[str, ...]
    answered: Answered | None = None


def project_slate(
    slate: Slate,
    model: LoadedModel | None,
    views: Views,
    directory: pl.DataFrame,
    *,
    active: Set[int] = frozenset(),
) -> SlateProjections:
    """Project every player of `slate` as of its lock; `active` are NBA person ids on tonight's active lists, who play.

    Players ruled out get 0. Players the champion does not know get their file average, or the prior of newcomers
    where that is 0; when it knows nobody
    (or there is no champion, no lock, or another sport) everybody does and `fallback` is true; `warnings` say why.
    """
    warnings: list[str] = []
    answered = _answered(slate, model, views, directory, warnings)
    answers = {} if answered is None or model is None else _mixed(answered, slate.site, model, active)
    rows = []
    for player in slate.players:
        if player.injury_status.strip().upper() in OUT_STATUSES:
            points, p_play, basis = {"mean": 0.0, **dict.fromkeys(ASKED, 0.0)}, 0.0, "out"
        elif player.player_id is not None and player.player_id in answers:
            points, p_play = answers[player.player_id]
            basis = "champion"
        elif answers and player.average_points <= 0:
            points, p_play, basis = _newcomer(slate.site), newcomer.PLAYS, "prior"
        else:
            points, p_play, basis = _file_average(player, slate.site, model), 1.0, "file_average"
        rows.append({**_identity(player), **points, "p_play": p_play, "basis": basis})
    frame = pl.DataFrame(rows, schema=SCHEMA)
    missing = frame.filter(pl.col("basis") == "file_average").height
    if answers and missing:
        warnings.append(
            f"{missing} of {frame.height} players are unknown to the champion: file average points used"
        )
    newcomers = frame.filter(pl.col("basis") == "prior").height
    if newcomers:
        warnings.append(
            f"{newcomers} of {frame.height} players are unknown to the champion and have no file average: they get "
            f"what newcomers score, and a chance of {newcomer.PLAYS:.0%} to play"
        )
    if slate.players and not answers:
        warnings.append(f"every projection of slate {slate.slate_id} is the file's own average points")
    return SlateProjections(
        frame, model.name if model else "file_average", model.version if model else "", not answers,
        _data_timestamp(views, slate.lock), tuple(warnings), answered,
    )  # fmt: skip


def mixture_quantiles(
    quantiles: NDArray[np.float64], levels: Sequence[float], p_play: NDArray[np.float64], asked: Sequence[float]
) -> NDArray[np.float64]:
    """Quantiles (n, asked) of points when a player scores 0 with probability 1 - p_play.

    `quantiles` (n, levels) are given that he plays; beyond the grid the outer values hold.
    """
    tau = np.asarray(levels, dtype=np.float64)
    below = np.array([np.interp(0.0, row, tau, left=0.0, right=1.0) for row in quantiles]) * p_play
    result = np.zeros((len(quantiles), len(asked)))
    for column, level in enumerate(asked):
        sits_out = 1 - p_play
        playing = np.where(level <= below, level, level - sits_out) / np.maximum(p_play, 1e-9)
        value = np.array([np.interp(t, tau, row) for t, row in zip(playing, quantiles, strict=True)])
        zero = ((level > below) & (level <= below + sits_out)) | (p_play <= 0)
        result[:, column] = np.where(zero, 0.0, value)
    return result


def _answered(
    slate: Slate, model: LoadedModel | None, views: Views, directory: pl.DataFrame, warnings: list[str]
) -> Answered | None:
    """The champion's answer; None with a warning when it cannot answer."""
    if model is None:
        warnings.append("no champion is registered: run `fantasy run` or `fantasy train` first")
        return None
    if slate.lock is None:
        warnings.append(f"slate {slate.slate_id} has no date: pass --date so that the champion can answer")
        return None
    if slate.sport != "nba" or slate.site not in model.config["sites"]:
        warnings.append(f"{model.name} does not project {slate.sport} on {slate.site}")
        return None
    locked_on = slate.lock.astimezone(ZoneInfo(EASTERN)).date()
    if model.trained_through >= locked_on:
        warnings.append(
            f"{model.name} was trained through {model.trained_through}, the slate locked on {locked_on}: it has "
            "seen what it is asked about, so do not judge it by this slate"
        )
    known = set(directory["player_id"].to_list())
    entities, _ = slate_entities(slate)
    rows = player_rows(entities, views)
    rows = rows.filter(pl.col("player_id").is_in(list(known)) & pl.col("games_career").is_not_null())
    if rows.is_empty():
        warnings.append(f"{model.name} knows none of the slate's {len(slate.players)} players")
        return None
    if not any(player.injury_status.strip() for player in slate.players):
        # Without injury marks the list is not a list of who plays: an absent star would look like a return.
        rows = rows.with_columns(pl.lit(None, dtype=pl.Float32).alias(name) for name in ANNOUNCED_FEATURES)
    return Answered(rows, model.outputs(rows))


def _mixed(
    answered: Answered, site: str, model: LoadedModel, active: Set[int]
) -> dict[int, tuple[dict[str, float], float]]:
    """Points and P(plays) by player id."""
    rows, answer = answered.rows, answered.output
    index = list(model.config["sites"]).index(site)
    p_play = np.where([player in active for player in rows["player_id"].to_list()], 1.0, answer["p_play"])
    mean = p_play * answer["mean"][:, index]
    mixed = mixture_quantiles(answer["quantiles"][:, index], model.config["levels"], p_play, list(ASKED.values()))
    return {
        player: ({"mean": float(m), **dict(zip(ASKED, map(float, q), strict=True))}, float(p))
        for player, m, q, p in zip(rows["player_id"].to_list(), mean, mixed, p_play, strict=True)
    }


def _newcomer(site: Site) -> dict[str, float]:
    mean, quantiles = newcomer.newcomer(site)
    plays = np.array([newcomer.PLAYS])
    mixed = mixture_quantiles(quantiles[None], newcomer.LEVELS, plays, list(ASKED.values()))[0]
    return {"mean": newcomer.PLAYS * mean, **dict(zip(ASKED, map(float, mixed), strict=True))}


def _file_average(player: SlatePlayer, site: str, model: LoadedModel | None) -> dict[str, float]:
    average = player.average_points
    spread = model.bundle.calibration.get("file_spread", {}).get(site) if model else None
    if spread is not None:
        grid = ResidualSpread.from_json(spread).quantiles(np.array([average]))[0]
        found = [float(np.interp(level, LEVELS, grid)) for level in ASKED.values()]
    else:
        sd = AVERAGE_SD_BASE + AVERAGE_SD_SHARE * average
        found = [average + sd * NormalDist().inv_cdf(level) for level in ASKED.values()]
    return {"mean": average, **dict(zip(ASKED, [max(value, 0.0) for value in found], strict=True))}


def _identity(player: SlatePlayer) -> dict[str, Any]:
    return {
        "site_id": player.site_id, "name": player.name, "team": player.team, "positions": list(player.positions),
        "salary": player.salary_usd, "player_id": player.player_id,
    }  # fmt: skip


def _data_timestamp(views: Views, lock: datetime | None) -> datetime | None:
    """Newest known time in the player view that is not after the lock."""
    view = views.get("player_form")
    if view is None or view.is_empty():
        return None
    known = view["known_time"] if lock is None else view.filter(pl.col("known_time") <= lock)["known_time"]
    newest = known.max()
    return newest if isinstance(newest, datetime) else None
