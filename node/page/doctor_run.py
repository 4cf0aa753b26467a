"""Run the doctor beside the page: one at a time, in a process of its own, for at most a minute.

Theory: the doctor dials out, reads the whole table and needs libraries that a process which answers applicants should
not carry, so it is asked as a person would ask it, by its command.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

__all__ = ["DoctorRun"]

PATIENCE_S = 60.0
_CODE = "import sys; from node.cli import main; sys.exit(main())"


class DoctorRun:
    """Ask `creditmesh-node doctor --json`."""

    def __init__(self, python: str, source: Path) -> None:
        """python: the interpreter. source: the file of the node's settings."""
        self._command: tuple[str, ...] = (python, "-c", _CODE, "doctor", "--config", str(source), "--json")
        self._turn = asyncio.Lock()

    async def report(self) -> dict[str, Any]:
        """Return the doctor's report; without findings if it did not answer in time or with none."""
        async with self._turn:
            process = await asyncio.create_subprocess_exec(
                *self._command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
            )
            try:
                async with asyncio.timeout(PATIENCE_S):
                    output, _ = await process.communicate()
            except TimeoutError:
                process.kill()
                await process.wait()
                return {"exit_code": 1, "findings": []}
        try:
            report = json.loads(output)
        except ValueError:
            return {"exit_code": 1, "findings": []}
        return report if isinstance(report, dict) and isinstance(report.get("findings"), list) else {"findings": []}
