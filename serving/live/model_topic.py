"""Topic `model`: which champion of every family answers now, told when one changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Final

from features.errors import StoreUnavailable
from features.workspace import League
from serving.champion import FAMILIES, Champions
from serving.live.defects import Complaints
from serving.live.publisher import Publisher

log = logging.getLogger(__name__)
TOPIC: Final = "model"
STOP_S: Final = 5.0


class ModelTopic:
    """Looks at the champions every `every_s` on a thread of its own; `changed` is called when one is another."""

    def __init__(
        self,
        champions: Champions,
        league: League,
        publisher: Publisher,
        changed: Callable[[], None],
        *,
        every_s: float,
    ) -> None:
        self._champions = champions
        self._league = league
        self._publisher = publisher
        self._changed = changed
        self._every_s = every_s
        self._stop = threading.Event()
        self._told: dict[str, Any] | None = None
        self._again = False
        self._thread = threading.Thread(target=self._watch, name="model-topic", daemon=True)

    def start(self) -> None:
        """Begin looking."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking."""
        self._stop.set()
        self._thread.join(timeout=STOP_S)

    def tell_again(self) -> None:
        """Publish them with the next look, whatever was told."""
        self._again = True

    def look(self) -> bool:
        """Publish the champions if they changed; whether they did. Raises `StoreUnavailable`."""
        again, self._again = self._again, False
        now: dict[str, Any] = {
            family: {"name": model.name, "version": model.version}
            for family in FAMILIES
            if (model := self._champions.get(self._league, family)) is not None
        }
        if now == self._told and not again:
            return False
        # Empty says that there is none; the topic then has no field.
        self._publisher.publish({TOPIC: now})
        self._told = now
        return True

    def _watch(self) -> None:
        complaints = Complaints()
        while not self._stop.is_set():
            try:
                if self.look():
                    self._changed()
                complaints.over("look")
            except StoreUnavailable as error:
                if complaints.fresh("look", repr(error)):
                    log.warning("champions not told yet: %s", error)
            self._stop.wait(self._every_s)
