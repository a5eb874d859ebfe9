"""A champion trained on: from its own weights, a few short steps on the newest games and a sample of older ones.

The sample (replay) keeps the network from forgetting what the newest games happen not to show.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from models.bundle import GOLDEN_ROWS, Bundle, LoadedModel, save_bundle
from models.families import family_of
from models.training.config import Optimisation
from models.training.fit import Identity, RunOptions, arrays_of
from models.training.run import FitResult, fit_network

#: Of the learning rate that trained the champion, and at most so many epochs.
LEARNING_RATE_SHARE: Final = 0.1
EPOCHS: Final = 3
#: Rows of older seasons for each row of the newest one.
REPLAY: Final = 1.0
_PARTS: Final = 1_000_000


def shortened(optimisation: Optimisation) -> Optimisation:
    """The family's optimisation with a low learning rate and few epochs."""
    return replace(
        optimisation,
        learning_rate=optimisation.learning_rate * LEARNING_RATE_SHARE,
        max_epochs=min(optimisation.max_epochs, EPOCHS),
    )


def with_replay(rows: pl.DataFrame, seed: int, share: float = REPLAY) -> pl.DataFrame:
    """The newest season of `rows`, and about `share` times as many rows of earlier ones: whole games, by a hash."""
    newest = pl.col("season") == rows["season"].max()
    recent = rows.filter(newest).height
    wanted = share * recent / max(rows.height - recent, 1)
    drawn = pl.col("game_id").hash(seed) % _PARTS < int(min(wanted, 1.0) * _PARTS)
    return rows.filter(newest | drawn)


def fine_tune(
    champion: LoadedModel,
    fit: pl.DataFrame,
    calibrate: pl.DataFrame,
    optimisation: Optimisation,
    identity: Identity,
    options: RunOptions,
    *,
    out: Path,
) -> tuple[Bundle, FitResult]:
    """Train the champion's weights on `fit`, stop and calibrate on `calibrate` (later), and write the bundle to `out`.

    Standardisation stays the champion's. Raises `TrainingError` when the slices cannot carry a model.
    """
    kind, old = family_of(champion.family), champion.bundle
    network: Any = kind.build(old.config)
    network.load_state_dict({name: value.cpu() for name, value in champion.network.state_dict().items()})
    with arrays_of(champion.family, fit, calibrate, network.config, options.checkpoints) as slices:
        fitted = fit_network(
            network, *slices, optimisation, checkpoints=options.checkpoints, device=options.device,
            on_progress=options.on_progress, precision=options.precision,
        )  # fmt: skip
        calibration = old.calibration | kind.calibrate(fitted.network, *slices[1])
        known = slices[1][0][-(GOLDEN_ROWS - 1) :].copy()
    learned: Any = fit["game_date"].max()
    through: Any = calibrate["game_date"].max()
    unknown = np.full((1, len(champion.features)), np.nan, dtype=np.float32)
    bundle = replace(
        old, name=identity.name, league=identity.league, path=out, calibration=calibration,
        references={**identity.references, "optimisation": optimisation.as_json()}, fit_through=learned,
        calibrated_through=through, trained_through=through, created_at=identity.created_at,
    )  # fmt: skip
    return save_bundle(out, bundle, fitted.network, np.vstack([unknown, known])), fitted
