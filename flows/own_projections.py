"""The player's own projections, from a file or the salary file's averages, in place of the champion's."""

from __future__ import annotations

from pathlib import Path

from features.slate import Slate
from features.sources.projections_file import read_own_numbers
from models.projection.own_numbers import use_own_numbers, with_spread
from models.projection.slate import OUT_STATUSES, SlateProjections


def with_own_numbers(projections: SlateProjections, slate: Slate, own: str) -> SlateProjections:
    """Return `projections` with the numbers of the file `own`, or of `salaries`, the salary file's own averages.

    Players the salary file marks out keep 0 with `salaries`; a file of the player's own has the last word.
    """
    if own == "salaries":
        averages = {
            p.site_id: 0.0 if p.injury_status.strip().upper() in OUT_STATUSES else p.average_points
            for p in slate.players
        }
        return use_own_numbers(projections, averages, source=own)
    numbers = read_own_numbers(Path(own), slate)
    moved = use_own_numbers(projections, {id_: each.points for id_, each in numbers.items()}, source=own)
    return with_spread(moved, numbers)
