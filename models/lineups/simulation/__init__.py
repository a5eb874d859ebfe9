"""Contests simulated: a field of opponents, exact payouts, entries chosen jointly and reported out of sample."""

from models.lineups.simulation.contest_run import simulate_contest
from models.lineups.simulation.request import SimulationRequest
from models.lineups.simulation.result import SimulationResult

__all__ = ["SimulationRequest", "SimulationResult", "simulate_contest"]
