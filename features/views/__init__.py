"""Feature views: what each player and team had shown after each game, and the rows models read.

A view holds one row per entity after each of its games, that game included, with `event_time` (tip-off) and
`known_time`. Leak safety comes from `features.as_of`: a row is joined only when both are at or before `as_of`.
"""

from features.views.announced import ANNOUNCED_FEATURES, GAME_ANNOUNCED_FEATURES
from features.views.assemble import (
    GAME_FEATURES,
    PLAYER_FEATURES,
    game_rows,
    player_rows,
)
from features.views.catalog import VIEW_KEYS, VIEW_VERSIONS, Views, compute_views

__all__ = [
    "ANNOUNCED_FEATURES",
    "GAME_ANNOUNCED_FEATURES",
    "GAME_FEATURES",
    "PLAYER_FEATURES",
    "VIEW_KEYS",
    "VIEW_VERSIONS",
    "Views",
    "compute_views",
    "game_rows",
    "player_rows",
]
