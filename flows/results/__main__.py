"""`python -m flows.results`: regenerate `docs/results.md`."""

from __future__ import annotations

from flows.results.page import main

if __name__ == "__main__":
    main()
