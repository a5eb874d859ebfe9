"""The page's what-ifs (JavaScript, onnxruntime-web) are the server's (Python, onnxruntime) to 1e-5."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from models import what_if
from models.bundle import LoadedModel
from serving.tiers.sessions import open_session
from tests.unit.serving.tiers_models import LEAGUE, MOMENTS, VERSION, features_of, rows

WEB = Path(__file__).parents[3] / "serving" / "web"
SCRIPT = """
import { readFileSync } from 'node:fs';
import * as ort from '%(ort)s';
import { answersOf, changed } from '%(what_if)s';
ort.env.wasm.numThreads = 1;
const asked = JSON.parse(readFileSync(0, 'utf8'));
const session = await ort.InferenceSession.create(readFileSync(asked.onnx));
const answers = [];
for (const { features, changes } of asked.games) {
  answers.push(await answersOf(ort, session, asked.model, features, changes));
}
const refused = [];
for (const changes of asked.wrong) {
  try { changed(asked.games[0].features, changes, asked.model.constants); refused.push(null); }
  catch (error) { refused.push(error.message); }
}
console.log(JSON.stringify({ answers, refused }));
"""
CHANGES: list[dict[str, float]] = [
    {}, {"lead": 5}, {"lead": -12, "left_s": 30}, {"left_s": 0}, {"ball": 1, "run_4min": -4}, {"left_s": 2880},
    {"expected_margin": 12.5}, {"lead": 60, "left_s": 1}, {"elo_logit": -2.0, "lead": 1},
]  # fmt: skip
WRONG = [{"weather": 1}, {"lead": 1e9}, {"left_s": -1}]


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.skipif(not (WEB / "vendor").is_dir(), reason="onnxruntime-web is not installed: run `make web`")
def test_the_page_answers_as_the_server_does(onnx_home: tuple[Path, LoadedModel]) -> None:
    home, _ = onnx_home
    path = home / LEAGUE / "onnx" / f"live_win-{VERSION}.onnx"
    session, frame = open_session(path), rows()
    described = {
        "name": session.name, "version": session.version, "features": list(session.features),
        "levels": list(session.config["levels"]), "calibration": dict(session.calibration),
        "constants": what_if.constants(),
    }  # fmt: skip
    games = [{"features": features_of(frame, number), "changes": CHANGES} for number in range(MOMENTS)]
    asked = {"onnx": str(path), "model": described, "games": games, "wrong": WRONG}
    script = SCRIPT % {"ort": WEB / "vendor" / "ort.wasm.min.mjs", "what_if": WEB / "what_if.js"}
    done = subprocess.run(
        ["node", "--input-type=module", "-e", script], input=json.dumps(asked), capture_output=True, text=True,
        timeout=120, cwd=WEB,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert all(
        message and next(iter(wrong)) in message for message, wrong in zip(told["refused"], WRONG, strict=True)
    )
    for number, found in enumerate(told["answers"]):
        inputs = what_if.changed_rows(features_of(frame, number), CHANGES)
        own = what_if.answers(
            session.run(inputs), inputs, session.features, session.calibration, session.config["levels"]
        )
        for mine, page in zip(own, found, strict=True):
            assert _flat(page) == pytest.approx(_flat(mine), rel=1e-5, abs=1e-5), (number, page, mine)


def _flat(answer: dict[str, Any]) -> dict[str, float]:
    return {"p": answer["home_win_probability"], **answer["home_margin"]}
