"""Run a node or the coordinator as it is installed, watched from inside by a test.

    python -m tests.e2e.watched node|coordinator CONFIG FOLDER [--at KIND:ROUND:ACT] [--slow ROUND] [--unmasked|--count]

Into FOLDER go `sent` (every frame that a node writes to its stream and every message it hands to its link), `words`
(the node's true parts), `sums.jsonl` (sums that the coordinator opened) and `reached` (when the moment of `--at` came).
With `--count` also `frames` (each frame of a node's stream behind its length) and `commits` (a line for each durable
commit of a database and each sync of another file, between lines for the rounds' uploads).
Nothing that leaves the process changes, but with `--unmasked`. The process ends when its standard input does.
"""

import argparse
import asyncio
import importlib
import json
import os
import signal
import sqlite3
import sys
import threading
import time
from pathlib import Path
from typing import Any

__all__: list[str] = []


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=("node", "coordinator"))
    parser.add_argument("config")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--at", default="")
    parser.add_argument("--slow", type=int, default=0)
    parser.add_argument("--unmasked", action="store_true")
    parser.add_argument("--count", action="store_true")
    options = parser.parse_args()
    _end_with_the_test()
    if options.role == "coordinator":
        _note_sums(options.folder / "sums.jsonl")
    else:
        _note_sent(options.folder / "sent")
        _note_words(options.folder / "words", options.slow, options.folder / "reached")
    if options.count:
        _note_frames(options.folder / "frames")
        _note_commits(options.folder / "commits")
    if options.at:
        _act_at(options.at, options.folder / "reached")
    if options.unmasked:
        _leave_masks_off()
    command: Any = importlib.import_module(f"{options.role}.cli")
    code: int = command.main(["run", "--config", options.config])
    return code


def _end_with_the_test() -> None:
    def read() -> None:
        # Not through sys.stdin: a thread that waits in a buffered read aborts the interpreter as it ends.
        os.read(0, 1)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=read, daemon=True).start()


def _note_sums(path: Path) -> None:
    from privacy.secagg.aggregator import Aggregator

    finish = Aggregator.finish

    def noted(self: Aggregator) -> Any:
        result = finish(self)
        past = self.opened[-1]
        entry = {"job": self.manifest.job, "round": past.opened.round, "survivors": past.opened.survivors}
        with path.open("a", encoding="ascii") as stream:
            stream.write(json.dumps({**entry, "words": past.vector.hex()}) + "\n")
        return result

    Aggregator.finish = noted  # type: ignore[method-assign]


def _note_sent(path: Path) -> None:
    from node.grpc_link import GrpcLink

    put, send = GrpcLink._put, GrpcLink.send

    async def noted_put(self: GrpcLink, call: Any, frame: bytes, *, is_control: bool) -> None:
        with path.open("ab") as stream:
            stream.write(frame)
        await put(self, call, frame, is_control=is_control)

    async def noted_send(self: GrpcLink, message: bytes) -> None:
        with path.open("ab") as stream:
            stream.write(message)
        await send(self, message)

    GrpcLink._put, GrpcLink.send = noted_put, noted_send  # type: ignore[method-assign]


def _note_frames(path: Path) -> None:
    from node.grpc_link import GrpcLink

    put = GrpcLink._put

    async def noted(self: GrpcLink, call: Any, frame: bytes, *, is_control: bool) -> None:
        with path.open("ab") as stream:
            stream.write(len(frame).to_bytes(4, "big") + frame)
        await put(self, call, frame, is_control=is_control)

    GrpcLink._put = noted  # type: ignore[method-assign]


def _note_commits(path: Path) -> None:
    """Note what SQLite says that it runs, each COMMIT and each write outside a transaction, and what Python syncs."""
    from node.gate import Gate

    connect, send, sync = sqlite3.connect, Gate.send, os.fsync

    def note(line: str) -> None:
        with path.open("a", encoding="ascii") as stream:
            stream.write(line + "\n")

    def noted_connect(name: Any, *arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(name, *arguments, **options)

        def trace(statement: str) -> None:
            alone = statement.startswith(("INSERT", "UPDATE", "DELETE", "REPLACE")) and not connection.in_transaction
            if alone or statement.startswith(("COMMIT", "END")):
                note(f"commit {Path(str(name)).name}")

        connection.set_trace_callback(trace)
        return connection

    def noted_sync(file: int) -> None:
        note(f"sync {Path(os.readlink(f'/proc/self/fd/{file}')).name}")
        sync(file)

    async def noted_send(self: Gate, outgoing: Any) -> int | None:
        if outgoing.kind == "secagg.upload":
            note(f"upload {outgoing.round}")
        return await send(self, outgoing)

    sqlite3.connect, os.fsync = noted_connect, noted_sync  # type: ignore[assignment]
    Gate.send = noted_send  # type: ignore[method-assign]


def _note_words(path: Path, slow: int, reached: Path) -> None:
    seat: Any = importlib.import_module("node.seat")
    answer = seat.Seat.answer

    def noted(self: Any, place: Any) -> Any:
        number, request = self.member.history.rounds + 1, self.replay.request
        if number == slow:
            reached.write_text(str(time.time()))
            time.sleep(600)
        part = seat.contribute(request, self.book)
        words = self.replay.plan.to_bytes(self.replay.plan.encode(part))
        entry = {"job": self.member.manifest.job, "round": number, "words": words.hex(), "bits": request.word_bits}
        with path.open("a", encoding="ascii") as stream:
            stream.write(json.dumps(entry) + "\n")
        return answer(self, place)

    seat.Seat.answer = noted


def _act_at(moment: str, reached: Path) -> None:
    from node.gate import Gate
    from privacy.outgoing import Outgoing

    kind, number, act = moment.split(":")
    send = Gate.send

    async def watched(self: Gate, outgoing: Outgoing) -> int | None:
        if (outgoing.kind, outgoing.round or 0) == (f"secagg.{kind}", int(number)) and not reached.exists():
            reached.write_text(str(time.time()))
            if act == "hold":
                await asyncio.Event().wait()
            os.kill(os.getpid(), {"kill": signal.SIGKILL, "freeze": signal.SIGSTOP}[act])
        return await send(self, outgoing)

    Gate.send = watched  # type: ignore[method-assign]


def _leave_masks_off() -> None:
    for name in ("privacy.mask", "privacy.secagg.part", "privacy.secagg.checking"):
        module: Any = importlib.import_module(name)
        module.apply_masks = lambda _words, _plus, _minus: None


if __name__ == "__main__":
    sys.exit(main())
