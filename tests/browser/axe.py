"""Where axe-core is: a checker of pages for people who cannot see or point, fetched by `make accept`, never committed.

It is looked for in `.venv-accept/axe.min.js`, or where `AXE_CORE` points.
"""

import os
from pathlib import Path

__all__ = ["axe_script"]

ROOT = Path(__file__).resolve().parents[2]


def axe_script() -> Path | None:
    """Return the script, None where it was not fetched."""
    path = Path(os.environ.get("AXE_CORE") or ROOT / ".venv-accept" / "axe.min.js")
    return path if path.is_file() else None
