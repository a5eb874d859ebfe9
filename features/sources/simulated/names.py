"""Names of the simulated league: none is a real team or player, no code is an NBA abbreviation."""

from __future__ import annotations

from typing import Final

import numpy as np

#: Team code -> (name, hours the arena's clock is behind US Eastern). Six divisions of five in this order.
TEAMS: Final[dict[str, tuple[str, int]]] = {
    "ALD": ("Aldmere Lanterns", 0), "ASH": ("Ashport Gulls", 0), "BRI": ("Briarton Foxes", 0),
    "COR": ("Corvane Masons", 0), "DUN": ("Dunmore Drovers", 0), "EAS": ("Eastholm Pilots", 0),
    "ELD": ("Eldergate Owls", 0), "FAR": ("Farrow Millers", 1), "GLN": ("Glenrock Stags", 1),
    "GRV": ("Graveport Divers", 0), "HAR": ("Harrowgate Bells", 0), "HOL": ("Hollin Herons", 0),
    "IRO": ("Ironvale Smiths", 0), "JUN": ("Juniper Rangers", 1), "KES": ("Kestrel Bay Kites", 0),
    "LAR": ("Larkspur Riders", 1), "LIN": ("Lindow Weavers", 1), "MAR": ("Marrow Creek Otters", 1),
    "NOR": ("Norwick Anchors", 1), "OXB": ("Oxbow Ferrymen", 1), "PEN": ("Penhallow Comets", 2),
    "QUA": ("Quarry Hill Rams", 2), "RAV": ("Ravensmoor Crows", 2), "SIL": ("Silverton Peaks", 2),
    "TAM": ("Tamsin Arrows", 1), "THO": ("Thornbury Waves", 3), "VAL": ("Valemont Harvest", 3),
    "WES": ("Westmarch Sundogs", 3), "YAR": ("Yarrow Point Seals", 3), "ZEN": ("Zennor Lights", 3),
}  # fmt: skip
CODES: Final[tuple[str, ...]] = tuple(TEAMS)

_FIRST: Final = (
    "Abel", "Adan", "Alaric", "Ambrose", "Anselm", "Arlo", "Basil", "Bastian", "Benno", "Caspar", "Cato", "Cedric",
    "Corin", "Cyrus", "Dario", "Desmond", "Edmund", "Elio", "Emeric", "Ennis", "Ezra", "Fabian", "Felix", "Fenn",
    "Gareth", "Gideon", "Hadrian", "Hale", "Idris", "Ivo", "Jarek", "Jory", "Kellan", "Kit", "Lazlo", "Leander",
    "Linus", "Lucan", "Magnus", "Milo", "Nestor", "Nico", "Olin", "Orson", "Otis", "Pascal", "Perrin", "Quill",
    "Rafe", "Remy", "Rufus", "Silas", "Soren", "Tavish", "Theo", "Tobin", "Ulric", "Vaughn", "Wendell", "Yorick",
)  # fmt: skip
_FRONT: Final = (
    "Ald", "Ash", "Bram", "Cald", "Dray", "Elm", "Fenn", "Gars", "Hart", "Inks", "Kerr", "Lang", "Mers", "Nether",
    "Oster", "Pell", "Quarr", "Rook", "Stan", "Thorn", "Under", "Vard", "Wick", "Yarl",
)  # fmt: skip
_BACK: Final = ("acre", "beck", "combe", "dale", "esk", "fell", "garth", "holt", "ing", "low", "mere", "wold")


def player_names(rng: np.random.Generator, count: int) -> list[str]:
    """`count` distinct invented names (at most 17,280), in random order."""
    backs = len(_BACK)
    surnames = len(_FRONT) * backs
    drawn = rng.permutation(len(_FIRST) * surnames)[:count]
    return [f"{_FIRST[k // surnames]} {_FRONT[k % surnames // backs]}{_BACK[k % backs]}" for k in drawn.tolist()]
