"""One finished game of the simulated league, and the oracle that replays it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.sources.simulated import floor as at
from features.sources.simulated.lines import Line, closing_line
from features.sources.simulated.night import night
from features.sources.simulated.play import play

#: Replays behind a true probability: its standard error is at most 0.025.
REPLAYS: Final = 400


@dataclass(frozen=True, slots=True)
class Game:
    """What was played: `rows` (2, SIDE) are rows of the league's arrays, -1 where nobody dressed."""

    k: int
    rows: NDArray[np.int64]
    starts: NDArray[np.bool_]  # (2, SIDE)
    events: NDArray[np.int32]  # (n, EVENT_COLUMNS)
    box: NDArray[np.int32]  # (2, SIDE, BOX_COLUMNS)
    home_score: int
    away_score: int
    periods: int
    line: Line


def play_game(seed: int, season: int, k: int) -> Game:
    """Game `k` of `season`; the same arguments always give the same game."""
    tonight = night(seed, season, k)
    f = tonight.floor
    play(f)
    line = closing_line(night(seed, season, k, luck=0.0), np.random.default_rng([seed, season, 6, k]))
    return Game(
        k, tonight.rows, f.players[:, :, at.STARTS] > 0, f.events[: f.state[at.ROWS]].copy(), f.box,
        int(f.state[at.HOME]), int(f.state[at.AWAY]), int(f.state[at.PERIOD]), line,
    )  # fmt: skip


def replay_margins(seed: int, season: int, k: int, replays: int = REPLAYS) -> NDArray[np.int64]:
    """Home margins of `replays` independent nights from the same latent strengths and absences."""
    margins = np.empty(replays, dtype=np.int64)
    for replay in range(replays):
        f = night(seed, season, k, replay=replay + 1).floor
        play(f)
        margins[replay] = f.state[at.HOME] - f.state[at.AWAY]
    return margins
