"""What if the lead or the clock were another? The in-game winner's inputs with changes applied, and its answer.

Needs neither torch nor tables: plain numbers in, plain numbers out, so that the live workers and the browser
(`serving/web/what_if.js`, which does the same in JavaScript) can answer at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr, ndtri

from features.errors import InvalidInput
from features.play.moments import REGULATION_S
from models.live_win.calibration import buckets, calibrated
from models.live_win.config import BUCKETS
from models.live_win.rows import DRIFT, FEATURES, GIVEN_BACK, LAST_S, STRENGTH, UNIT
from models.metrics import Array

#: What may be changed besides STRENGTH, with the least and greatest value: home points minus away points, seconds of
#: play left, the ball (1 home, -1 away, 0 nobody), points of the last four minutes (home minus away).
CHANGES: Final[Mapping[str, tuple[float, float]]] = {
    "lead": (-150.0, 150.0), "left_s": (0.0, float(REGULATION_S)), "ball": (-1.0, 1.0), "run_4min": (-60.0, 60.0),
}  # fmt: skip
STRENGTH_BOUND: Final = 1000.0
SHOWN: Final = (0.10, 0.50, 0.90)
#: Log-odds are held within these, as in `models.live_win.rows`.
_MOST: Final = 12.0
Row = NDArray[np.float32]
_AT: Final = {name: at for at, name in enumerate(FEATURES)}


def check_changes(changes: Mapping[str, Any]) -> dict[str, float]:
    """The changes as numbers. Raises `InvalidInput` naming what is unknown or out of range."""
    found = {}
    for name, value in changes.items():
        if name not in CHANGES and name not in STRENGTH:
            known = ", ".join((*CHANGES, *STRENGTH))
            raise InvalidInput(f"change {name!r} is unknown; use one of {known}")
        low, high = CHANGES.get(name, (-STRENGTH_BOUND, STRENGTH_BOUND))
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not low <= value <= high:
            raise InvalidInput(f"change {name} is {value!r}; give a number from {low:g} to {high:g}")
        found[name] = float(value)
    return found


def changed_rows(features: Mapping[str, float | None], changes: Sequence[Mapping[str, float]]) -> Row:
    """The inputs (n, F) FEATURES of a game in progress with each of n `changes` applied, NaN where unknown; every input
    that depends on a change follows.

    `features` are the model's inputs as they are (None where unknown), `changes` as from `check_changes`. What is
    measured in what is left of the game (strength, run, ball) is unknown when nothing was left. Raises `InvalidInput`
    when lead, clock or spread are missing.
    """
    lead_0, share_0, unit_0 = (_given(features, name) for name in ("lead", "share_left", "margin_unit"))
    before = row_of(features, FEATURES).astype(np.float64)
    rows = np.repeat(before[None], len(changes), axis=0)
    touched = np.array([bool(each) for each in changes])

    given = set().union(*changes)

    def of(name: str, without: float) -> Array:
        if name not in given:
            return np.asarray(without)
        return np.array([each.get(name, without) for each in changes])

    lead, left_s = of("lead", lead_0), of("left_s", np.nan)
    share = np.where(np.isnan(left_s), share_0, left_s / REGULATION_S)
    unit = np.where(np.isnan(left_s), unit_0, np.sqrt(UNIT[0] + UNIT[1] * share + UNIT[2] * share**2))
    root, root_0 = np.sqrt(share), math.sqrt(share_0)
    strength = {
        name: of(name, before[_AT[f"{name}_left"]] / root_0 if root_0 else np.nan) for name in STRENGTH
    }  # fmt: skip
    power = np.nan_to_num(strength["expected_margin"])
    anchor = lead * (1 - GIVEN_BACK * share) + (DRIFT[0] + DRIFT[1] * power) * share
    z = anchor / unit
    told = {
        "anchor_logit": np.clip(log_ndtr(z) - log_ndtr(-z), -_MOST, _MOST), "margin_anchor": anchor,
        "margin_unit": unit, "share_left": share, "root_left": root, "lead": lead, "standing": lead / unit,
        "lead_share": lead * share / unit, "standing_late": lead / unit * np.exp(-share * REGULATION_S / LAST_S),
        "ball_standing": of("ball", before[_AT["ball_standing"]] * unit_0) / unit,
        "run_standing": of("run_4min", before[_AT["run_standing"]] * unit_0) / unit,
        "luck_standing": before[_AT["luck_standing"]] * unit_0 / unit,
    }  # fmt: skip
    told |= {f"{name}_left": values * root for name, values in strength.items()}
    for name, values in told.items():
        rows[:, _AT[name]] = values
    rows[~touched] = before
    return rows.astype(np.float32)


def changed(features: Mapping[str, float | None], changes: Mapping[str, float]) -> dict[str, float | None]:
    """One row of `changed_rows` by name, None where unknown."""
    (row,) = changed_rows(features, [changes])
    return {name: None if math.isnan(value) else float(value) for name, value in zip(FEATURES, row, strict=True)}


def row_of(values: Mapping[str, float | None], features: Sequence[str]) -> Row:
    """Values by name as a row (F,) of `features`, NaN where unknown."""
    return np.array([_float(values.get(name)) for name in features], dtype=np.float32)


def answers(
    raw: Mapping[str, NDArray[Any]],
    inputs: NDArray[np.float32],
    features: Sequence[str],
    calibration: Mapping[str, Any],
    levels: Sequence[float],
) -> list[dict[str, Any]]:
    """P(home wins) and the margin of each row of `inputs` (n, F) from the raw outputs of the champion's ONNX."""
    return listed(numbers(raw, inputs, features, calibration, levels))


def numbers(
    raw: Mapping[str, NDArray[Any]],
    inputs: NDArray[np.float32],
    features: Sequence[str],
    calibration: Mapping[str, Any],
    levels: Sequence[float],
) -> Array:
    """What `answers` lists, as (n, 5): P(home wins), mean margin, and its quantiles at SHOWN."""
    logits, location, quantiles = (
        np.asarray(raw[f"raw_{name}"], dtype=np.float64) for name in ("logit", "location", "quantiles")
    )
    told = calibrated(logits, location, quantiles, buckets(inputs, features), calibration)
    shown = _at_levels(told["margin_quantiles"], levels)
    return np.column_stack((told["home_win_probability"], told["margin_mean"], shown))


def listed(told: Array) -> list[dict[str, Any]]:
    """Answers by name from numbers (n, 5)."""
    return [
        {"home_win_probability": p, "home_margin": {"mean": m, "q10": low, "q50": middle, "q90": high}}
        for p, m, low, middle, high in told.tolist()
    ]


def brownian_answers(rows: Row) -> list[dict[str, Any]]:
    """The Brownian margin's answer to inputs (n, F) FEATURES: what is left when there is no time, or no model, for
    more."""
    anchor, unit = (rows[:, _AT[name]].astype(np.float64) for name in ("margin_anchor", "margin_unit"))
    shown = anchor[:, None] + unit[:, None] * ndtri(np.asarray(SHOWN))
    return listed(np.column_stack((ndtr(anchor / unit), anchor, shown)))


def brownian_answer(features: Mapping[str, float | None]) -> dict[str, Any]:
    """`brownian_answers` of one row by name. Raises `InvalidInput` when lead, clock or spread are missing."""
    for name in ("margin_anchor", "margin_unit"):
        _given(features, name)
    return brownian_answers(row_of(features, FEATURES)[None])[0]


def from_standing(lead: float, left_s: float, expected_margin: float = 0.0) -> dict[str, float | None]:
    """The inputs that score and clock tell, all others unknown: for a game that no model has been asked about."""
    start: dict[str, float | None] = {
        "lead": lead, "share_left": 1.0, "margin_unit": 1.0, "expected_margin_left": expected_margin,
    }  # fmt: skip
    left = min(max(left_s, 0.0), float(REGULATION_S))
    return changed(start, {"left_s": left})


def constants() -> dict[str, Any]:
    """The numbers `changed` and `answers` go by, for the browser."""
    return {
        "drift": DRIFT, "given_back": GIVEN_BACK, "unit": UNIT, "last_s": LAST_S, "regulation_s": REGULATION_S,
        "strength": STRENGTH, "buckets": BUCKETS, "shown": SHOWN, "most_log_odds": _MOST,
        "changes": {name: list(bounds) for name, bounds in CHANGES.items()}, "strength_bound": STRENGTH_BOUND,
    }  # fmt: skip


def _at_levels(quantiles: Array, levels: Sequence[float]) -> Array:
    """Quantiles (n, 3) at SHOWN, linear between `levels`, the outermost beyond them."""
    grid = np.asarray(levels, dtype=np.float64)
    wanted = np.clip(SHOWN, grid[0], grid[-1])
    at = np.clip(np.searchsorted(grid, wanted, side="right") - 1, 0, grid.size - 2)
    share = (wanted - grid[at]) / (grid[at + 1] - grid[at])
    return np.asarray(quantiles[:, at] + share * (quantiles[:, at + 1] - quantiles[:, at]))


def _given(features: Mapping[str, float | None], name: str) -> float:
    value = features.get(name)
    if value is None or not math.isfinite(value):
        raise InvalidInput(f"feature {name} is {value!r}; send the inputs of a game in progress (topic game:ID)")
    return float(value)


def _float(value: float | None) -> float:
    return math.nan if value is None else float(value)
