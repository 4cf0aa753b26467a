"""Run a node or the coordinator as a child of the demo: the product's own command, watched from outside.

    python -m creditmesh_demo.child coordinator OUT MEMBER ...
    python -m creditmesh_demo.child node OUT MEMBER --rows-to FD [--kill ROUND:MOMENT]

It changes nothing that leaves the process. Theory: a demo must leave no process behind, however it ends; standard input
is a pipe that the demo holds open, so its end means the demo is gone, and the child stops itself. The coordinator's
process first founds the consortium, and queues the job files whose names come on standard input, as its operator's
commands would; so the launcher itself loads neither keys nor a database library and stays small. The
opened sums are written down, and each node's rows are handed over as it read them, for the demo's self-check and its
figures over all banks. A node told to kill itself wraps the gate, because `node/` itself has no hook for any of this.
"""

import argparse
import importlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from creditmesh_demo.folders import RunFolders
from creditmesh_demo.rows_file import write_rows
from creditmesh_demo.self_check import OPENED_FILE
from privacy.errors import InputError

__all__ = ["MOMENTS", "main"]

MOMENTS = ("before-upload", "after-upload", "before-reveal")
PATIENCE_S = 3.0


def main(arguments: list[str] | None = None) -> int:
    """Run the named process of a run; return its exit code."""
    parser = argparse.ArgumentParser(prog="creditmesh_demo.child")
    parser.add_argument("role", choices=("coordinator", "node"))
    parser.add_argument("out", type=Path)
    parser.add_argument("members", nargs="+")
    parser.add_argument("--rows-to", type=int, metavar="FD")
    parser.add_argument("--kill", default="")
    options = parser.parse_args(arguments)
    run = RunFolders(options.out, tuple(options.members))
    return _coordinator(run) if options.role == "coordinator" else _node(run, options)


def _coordinator(run: RunFolders) -> int:
    from coordinator.cli import main as coordinator_main
    from creditmesh_demo.founding import found

    settings = run.coordinator / "coordinator.toml"
    try:
        found(run)
    except (InputError, OSError) as error:
        print(f"creditmesh-coordinator: {error}", flush=True)
        return 2
    _note_opened_sums(run.coordinator / OPENED_FILE)
    _stop_with_the_demo(lambda job: coordinator_main(["submit", job, "--config", str(settings)]))
    return coordinator_main(["run", "--config", str(settings)])


def _node(run: RunFolders, options: argparse.Namespace) -> int:
    from node.cli import main as node_main

    _stop_with_the_demo(lambda _line: None)
    _hand_over_rows(options.rows_to)
    if options.kill:
        number, _, moment = options.kill.partition(":")
        _kill_at(int(number), moment)
    return node_main(["run", "--config", str(run.nodes[run.members[0]] / "node.toml")])


def _stop_with_the_demo(on_line: Callable[[str], object]) -> None:
    """Hand every line of standard input on; end this process when standard input ends."""

    def read() -> None:
        for line in sys.stdin:
            on_line(line.strip())
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(PATIENCE_S)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=read, daemon=True).start()


def _note_opened_sums(path: Path) -> None:
    """Let the aggregator write a line about every sum it opens: job, number, survivors, SHA-256, place."""
    from privacy.secagg.aggregator import Aggregator

    finish = Aggregator.finish

    def noted(self: Aggregator) -> Any:
        result = finish(self)
        opened = self.opened[-1].opened
        entry = {
            "job": self.manifest.job,
            "number": opened.round,
            "survivors": list(opened.survivors),
            "sha256": opened.sum_sha256.hex(),
            "place": f"{opened.epoch}/{opened.position}",
        }
        with path.open("a", encoding="ascii") as stream:
            stream.write(json.dumps(entry) + "\n")
        return result

    Aggregator.finish = noted  # type: ignore[method-assign]


def _hand_over_rows(descriptor: int) -> None:
    """Let the node's reader also write the rows it read into an open file that only the demo holds."""
    service: Any = importlib.import_module("node.service")
    read = service.read_table

    def handed_over(*arguments: Any, **options: Any) -> Any:
        table = read(*arguments, **options)
        with os.fdopen(descriptor, "wb") as stream:
            write_rows(stream, table)
        return table

    service.read_table = handed_over


def _kill_at(number: int, moment: str) -> None:
    """Let this process end by SIGKILL at one moment of round `number` of the first job it takes part in."""
    from node.gate import Gate
    from privacy.log.receipt import decode_receipt
    from privacy.log.record import decode_event
    from privacy.outgoing import Outgoing

    send, take_receipt = Gate.send, Gate.on_receipt
    first_job: list[str] = []
    upload: list[str] = []

    async def watched_send(self: Gate, outgoing: Outgoing) -> int | None:
        if outgoing.job and not first_job:
            first_job.append(outgoing.job)
        here = outgoing.job in first_job and outgoing.round == number
        if here and (outgoing.kind, moment) in (
            ("secagg.upload", "before-upload"),
            ("secagg.consent", "before-reveal"),
        ):
            os.kill(os.getpid(), signal.SIGKILL)
        if here and outgoing.kind == "secagg.upload":
            upload.append(outgoing.msg_id)
        return await send(self, outgoing)

    def watched_receipt(self: Gate, receipt: bytes) -> None:
        # The receipt says that the whole upload has arrived.
        if moment == "after-upload" and decode_event(decode_receipt(receipt).event).body["msg_id"] in upload:
            os.kill(os.getpid(), signal.SIGKILL)
        take_receipt(self, receipt)

    Gate.send = watched_send  # type: ignore[method-assign]
    Gate.on_receipt = watched_receipt  # type: ignore[method-assign]


if __name__ == "__main__":
    sys.exit(main())
