"""The winner network is symmetric enough, calibrated by temperature, and safe on odd inputs."""

from __future__ import annotations

import numpy as np
import torch

from models.families import family_of
from models.win_probability.config import WinProbabilityConfig
from models.win_probability.network import WinProbabilityNetwork

CONFIG = WinProbabilityConfig(("a", "b"), hidden=4)


def test_an_untrained_network_answers_near_the_base_rate() -> None:
    torch.manual_seed(0)
    network = WinProbabilityNetwork(CONFIG).eval()
    inputs = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
    network.fit_scales(inputs, np.full((500, 1), 0.6, np.float32))
    answers = family_of("win_probability").outputs(network, inputs, {})["home_win_probability"]
    assert abs(answers.mean() - 0.6) < 0.05


def test_a_higher_temperature_pulls_answers_to_one_half() -> None:
    torch.manual_seed(0)
    network = WinProbabilityNetwork(CONFIG).eval()
    inputs = np.random.default_rng(1).normal(size=(100, 2)).astype(np.float32)
    family = family_of("win_probability")
    sharp, soft = (family.outputs(network, inputs, {"temperature": t})["home_win_probability"] for t in (1.0, 3.0))
    assert (np.abs(soft - 0.5) <= np.abs(sharp - 0.5)).all()
    assert (np.abs(soft - 0.5) < np.abs(sharp - 0.5)).any()


def test_absurd_and_missing_inputs_stay_probabilities() -> None:
    network = WinProbabilityNetwork(CONFIG).eval()
    inputs = np.array([[1e30, -1e30], [np.nan, np.nan], [np.inf, 0.0]], np.float32)
    answers = family_of("win_probability").outputs(network, inputs, {})["home_win_probability"]
    assert np.isfinite(answers).all() and ((answers > 0) & (answers < 1)).all()


def test_config_survives_json() -> None:
    assert WinProbabilityConfig.from_json(CONFIG.as_json()) == CONFIG
