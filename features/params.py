"""Experiment parameters from `params.yaml`, the file DVC and MLflow see."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

from features.errors import InvalidInput

DEFAULT: Final = Path(__file__).resolve().parent.parent / "params.yaml"


def read_params(path: Path | None = None) -> dict[str, Any]:
    """Return the parameters in `path` (default: the project's own `params.yaml`)."""
    source = path or DEFAULT
    try:
        loaded = yaml.safe_load(source.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise InvalidInput(f"params file {source} cannot be read: {error}") from error
    if not isinstance(loaded, dict) or not {"simulate", "train", "evaluate"} <= loaded.keys():
        raise InvalidInput(f"params file {source} must hold the sections simulate, train and evaluate")
    return loaded
