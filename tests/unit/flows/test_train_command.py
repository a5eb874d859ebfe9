"""What `fantasy train` and `fantasy export` refuse before any server is started."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from features.errors import FantasyError, InvalidInput
from flows.cli import app
from models.errors import BundleError, NoChampion


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["shot", "--precision", "16-mixed"], "needs a CUDA device"),
        (["shot", "--precision", "half"], "precision is 'half'"),
        (["shots"], "model family 'shots' is unknown; use one of projection, win_probability, live_win"),
        (["shot", "--sweep", "3", "--resume"], "drop --resume and --devices"),
        (["shot", "--sweep", "3", "--devices", "2"], "drop --resume and --devices"),
    ],
)
def test_train_refuses_at_once(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FANTASY_HOME", str(tmp_path))
    monkeypatch.setenv("FANTASY_DEVICE", "cpu")
    done = CliRunner().invoke(app, ["train", *words])
    assert isinstance(done.exception, InvalidInput)
    assert message in str(done.exception)


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ([], NoChampion, "name --version or --bundle"),
        (["--bundle", "nowhere"], BundleError, "missing or unreadable"),
        (["--league", "wnba"], InvalidInput, "league 'wnba' is not known"),
    ],
)
def test_export_names_what_is_missing(
    words: list[str], error: type[FantasyError], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FANTASY_HOME", str(tmp_path))
    done = CliRunner().invoke(app, ["export", "shot", "--out", str(tmp_path / "shot.onnx"), *words])
    assert isinstance(done.exception, error)
    assert message in str(done.exception)
    assert not (tmp_path / "shot.onnx").exists()
