"""`python -m serving`: one process that answers HTTP on the address of `FANTASY_HOST` and `FANTASY_PORT`."""

from __future__ import annotations

import argparse
import logging
import threading
from collections.abc import Sequence

import uvicorn

from serving.app import create_app
from serving.heap import settle
from serving.settings import ServingSettings


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT, then answer what is under way and end."""
    argparse.ArgumentParser(prog="python -m serving", description=__doc__).parse_args(arguments)
    settings = ServingSettings()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    app = create_app(settings)
    threading.Thread(target=settle, args=(app,), name="settle", daemon=True).start()
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=15,
    )


if __name__ == "__main__":
    main()
