"""The simulated league: a possession-level simulator in the archive schema, always labelled as simulated."""

from features.sources.simulated.source import SimulatedSource

__all__ = ["SimulatedSource"]
