"""Keeps the garbage collector from walking, time and again, through what lives as long as the process."""

from __future__ import annotations

import gc
import logging
import time
from typing import Final

from fastapi import FastAPI

from serving.context import Context

log = logging.getLogger(__name__)
LOOK_S: Final = 0.5


def settle(app: FastAPI) -> None:
    """Once the champions and the optimizer are loaded, take all there is out of the collector's sight.

    A full collection walks through the millions of objects of the libraries, a quarter of a second during which no
    request is answered; afterwards it has only what requests leave behind. Returns when that is done.
    """
    from models.lineups.optimize import warm

    while not _loaded(app):
        time.sleep(LOOK_S)
    warm()
    gc.collect()
    gc.freeze()
    log.info("objects=%d kept from the garbage collector", gc.get_freeze_count())


def _loaded(app: FastAPI) -> bool:
    context: Context | None = getattr(app.state, "context", None)
    return context is not None and context.champions.problem() is None
