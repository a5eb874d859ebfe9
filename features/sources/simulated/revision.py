"""Which simulator this is: another simulator is another league."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=1)
def revision() -> str:
    """Hash (12 hexadecimal digits) of the simulator's own source."""
    content = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    return hashlib.sha256(content).hexdigest()[:12]
