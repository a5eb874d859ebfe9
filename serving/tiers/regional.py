"""The regional tier: one thread runs the champions' ONNX on whatever questions wait, as one batch.

Greedy batching: on a CPU a free thread takes all that is queued at once and never waits for more; a GPU, whose batches
cost nearly the same at any size, waits a millisecond or two for company.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from serving.errors import Late
from serving.tiers.lanes import Lane, Ticket, take_batch

log = logging.getLogger(__name__)
Rows = NDArray[np.float32]
Outputs = dict[str, NDArray[Any]]
#: Rows of one batch at most: a slate of 500 players and company.
BATCH_ROWS: Final = 2048
#: Questions that may wait.
MOST_WAITING: Final = 2048
#: How long a GPU waits for company, and how many questions are company enough.
COMPANY: Final = 64
GPU_WAIT_S: Final = 0.0015
STOP_S: Final = 10.0


class Runs(Protocol):
    """A model that can be run: `serving.tiers.sessions.Session`."""

    def run(self, inputs: Rows) -> Outputs:
        """Outputs by name of rows (n, F); every output has n first."""
        ...


@dataclass(slots=True, eq=False)
class _Item:
    model: Runs
    inputs: Rows
    ticket: Ticket
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Outputs]

    @property
    def group(self) -> tuple[int, str]:
        """The same model, asked for the same kind of question."""
        return id(self.model), self.ticket.kind

    @property
    def abandoned(self) -> bool:
        """Whoever asked has gone."""
        return self.future.cancelled()


class Regional:
    """A bounded queue before one inference thread. `lane` is what the router looks at."""

    def __init__(self, lane: Lane, *, wait_s: float = 0.0, company: int = COMPANY) -> None:
        self.lane = lane
        self._company = company
        self._wait_s = wait_s
        self._queue: deque[_Item] = deque()
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._work, name="regional", daemon=True)

    def start(self) -> None:
        """Start the inference thread."""
        self._thread.start()

    def stop(self) -> None:
        """Answer what is queued, then stop the thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(STOP_S)

    async def ask(self, model: Runs, inputs: Rows, ticket: Ticket) -> Outputs:
        """Run `model` on rows (n, F), together with what else waits.

        `ticket` is of `lane`. Raises `Late` when its deadline cannot be met any more once its turn comes, and what
        the model raises.
        """
        loop = asyncio.get_running_loop()
        item = _Item(model, inputs, ticket, loop, loop.create_future())
        with self._changed:
            if self._stopped:
                self.lane.drop(ticket)
                raise Late("this server is shutting down: ask again")
            self._queue.append(item)
            self._changed.notify()
        return await item.future

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._stopped:
                    self._changed.wait()
                if self._wait_s and not self._stopped and self.lane.waiting < self._company:
                    self._changed.wait(self._wait_s)
                if not self._queue:
                    return
                batch, late = take_batch(self.lane, self._queue)
            if late:
                _deliver([(item, _late(item)) for item in late])
            if batch:
                _deliver(self._answer(batch))

    def _answer(self, group: Sequence[_Item]) -> list[tuple[_Item, Outputs | BaseException]]:
        tickets = [item.ticket for item in group]
        number = self.lane.begin(tickets)
        rows = sum(ticket.rows for ticket in tickets)
        try:
            inputs = group[0].inputs if len(group) == 1 else np.concatenate([item.inputs for item in group])
            found = group[0].model.run(inputs)
        except Exception as error:  # whoever asked gets it; the thread must outlive it
            log.exception("inference of %d rows failed", rows)
            return [(item, error) for item in group]
        finally:
            self.lane.end(number, tickets[0].kind, rows)
        parts: list[tuple[_Item, Outputs | BaseException]] = []
        start = 0
        for item in group:
            stop = start + len(item.inputs)
            parts.append((item, {name: value[start:stop] for name, value in found.items()}))
            start = stop
        return parts


def _late(item: _Item) -> Late:
    return Late(f"a question of kind {item.ticket.kind!r} waited until its deadline could not be met: ask again")


def _deliver(outcomes: Sequence[tuple[_Item, Outputs | BaseException]]) -> None:
    """Hand outcomes to the event loops that wait for them, one call per loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Item, Outputs | BaseException]]] = {}
    for item, outcome in outcomes:
        by_loop.setdefault(item.loop, []).append((item, outcome))
    for loop, own in by_loop.items():
        if loop.is_closed():
            log.info("%d answers came after their event loop had closed", len(own))
            continue
        loop.call_soon_threadsafe(_resolve, own)


def _resolve(outcomes: Sequence[tuple[_Item, Outputs | BaseException]]) -> None:
    for item, outcome in outcomes:
        if item.future.done():
            continue
        if isinstance(outcome, BaseException):
            item.future.set_exception(outcome)
        else:
            item.future.set_result(outcome)
