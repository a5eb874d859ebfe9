"""Fixtures of the tiers' tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.bundle import LoadedModel
from tests.unit.serving.tiers_models import published


@pytest.fixture(scope="session")
def onnx_home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LoadedModel]:
    """A home whose in-game winner is published as ONNX, and the model it was made from."""
    home = tmp_path_factory.mktemp("onnx-home")
    return home, published(home)
