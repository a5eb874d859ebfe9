"""Experiment parameters from `params.yaml`, the file DVC and MLflow see."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Any, Final

import yaml

from features.errors import InvalidInput

DEFAULT: Final = Path(__file__).resolve().parent.parent / "params.yaml"
#: Names another parameters file for a whole run (a smaller league, a shorter training).
VARIABLE: Final = "FANTASY_PARAMS"


def read_params(path: Path | None = None) -> dict[str, Any]:
    """Return the parameters in `path`, else in the file `FANTASY_PARAMS` names, else the project's own.

    `simulate.through` comes back as a date: the file holds text, because DVC takes no YAML dates.
    """
    source = path or Path(os.environ.get(VARIABLE) or DEFAULT)
    try:
        loaded = yaml.safe_load(source.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInput(f"params file {source} cannot be read: {error}") from error
    if not isinstance(loaded, dict) or not {"simulate", "train", "evaluate"} <= loaded.keys():
        raise InvalidInput(f"params file {source} must hold the sections simulate, train and evaluate")
    through = loaded["simulate"].get("through")
    try:
        loaded["simulate"]["through"] = date.fromisoformat(str(through))
    except ValueError as error:
        raise InvalidInput(
            f"params file {source}: simulate.through {through!r} is not a day; write it as 2025-02-10"
        ) from error
    return loaded
