"""Time the scorer: one applicant over HTTP, beside an empty endpoint that reads the same body, in the same run.

    python -m tests.bench.scorer [--seconds 0.3] [--rounds 20]

Three endpoints at four connections: `empty` (FastAPI, the same pydantic body, `{"ok": true}`), `/v1/score`
(score, PD, grade and sub-scores; nothing kept), and `/v1/decisions` (reasons, limit, price; in the decision log
and the table, both synced before the answer). Each takes turns with the empty one. Each figure is the
median over the rounds; load from elsewhere moves all three, the server's CPU for one request the least.
"""

import argparse
import json
import os
import selectors
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.node.scorer.bank_desk import ROOT, applicants, body, make_bank, token

CONNECTIONS = 4
EMPTY = """
import sys
import uvicorn
from fastapi import FastAPI
from node.scorer.bodies import ScoreBody
app = FastAPI()
@app.post("/empty")
async def empty(body: ScoreBody):
    return {"ok": True}
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", access_log=False)
"""
SERVE = "import sys; from node.cli import main; sys.exit(main(sys.argv[1:]))"


@dataclass(frozen=True, slots=True)
class Figures:
    """Requests a second, milliseconds that half and 99 percent of them took at most, and the server's CPU for one."""

    rate: float
    p50: float
    p99: float
    cpu_us: float


@dataclass(frozen=True, slots=True)
class Turn:
    """One endpoint: its server's process and port, its path, and what makes the next body."""

    pid: int
    port: int
    path: str
    make: Callable[[], bytes]

    def cpu_s(self) -> float:
        """Return the seconds of CPU that the server has used."""
        ticks = Path(f"/proc/{self.pid}/stat").read_text("ascii").rpartition(")")[2].split()[11:13]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def load(turn: Turn, secret: str, seconds: float) -> Figures:
    """Send requests over four connections, each its next one as soon as an answer is whole."""
    kind = "Content-Type: application/json"
    head = f"POST {turn.path} HTTP/1.1\r\nHost: scorer\r\n{kind}\r\nAuthorization: Bearer {secret}\r\n"
    selector, times = selectors.DefaultSelector(), []
    open_at: dict[socket.socket, tuple[float, bytes]] = {}

    def ask(connection: socket.socket) -> None:
        content = turn.make()
        request = head.encode() + b"Content-Length: %d\r\n\r\n" % len(content) + content
        open_at[connection] = (time.perf_counter(), b"")
        connection.sendall(request)

    for _ in range(CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", turn.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ)
        ask(connection)
    before, end = turn.cpu_s(), time.perf_counter() + seconds
    while time.perf_counter() < end:
        for key, _ in selector.select():
            connection = key.fileobj  # type: ignore[assignment]
            began, got = open_at[connection]
            got += connection.recv(1 << 16)
            open_at[connection] = (began, got)
            top = got.find(b"\r\n\r\n")
            if top < 0:
                continue
            at = got.lower().find(b"content-length:") + 15
            if len(got) >= top + 4 + int(got[at : got.find(b"\r", at)]):
                assert got.startswith(b"HTTP/1.1 200"), got[:400]
                times.append(time.perf_counter() - began)
                ask(connection)
    spent = turn.cpu_s() - before
    for connection in open_at:
        connection.close()
    times.sort()
    count = len(times)
    return Figures(count / seconds, 1e3 * times[count // 2], 1e3 * times[int(count * 0.99)], 1e6 * spent / count)


def sync_ms(folder: Path) -> float:
    """Return the median of a small transaction's commit on this disk, in milliseconds."""
    connection = sqlite3.connect(folder / "sync.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE t (v BLOB)")
    times = []
    for _ in range(100):
        began = time.perf_counter()
        connection.execute("INSERT INTO t VALUES (?)", (b"x" * 3000,))
        times.append(1e3 * (time.perf_counter() - began))
    connection.close()
    return statistics.median(times)


def wait_for(process: subprocess.Popen[bytes], ready: Callable[[], bool]) -> float:
    """Return the seconds until `ready` says so."""
    began = time.perf_counter()
    while not ready():
        if process.poll() is not None:
            raise SystemExit("bench: a server ended before it listened")
        time.sleep(0.01)
    return time.perf_counter() - began


def answers(port: int) -> bool:
    """Say whether something listens on a loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def main() -> int:
    """Run the bench and print its table."""
    parser = argparse.ArgumentParser(description="Time the scorer beside an empty endpoint.")
    parser.add_argument("--seconds", type=float, default=0.3, help="of each endpoint in each round")
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = make_bank(folder)
        secret = token(settings)
        rows = [json.dumps({"fields": row}).encode() for row in applicants()]
        count = iter(range(10**9))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            empty_port = free.getsockname()[1]
        empty = subprocess.Popen([sys.executable, "-c", EMPTY, str(empty_port)], cwd=ROOT)
        serve = [sys.executable, "-c", SERVE, "serve", "--config", str(folder / "node.toml")]
        scorer = subprocess.Popen(serve, cwd=ROOT, stderr=subprocess.DEVNULL)
        try:
            told = settings.state.dir / "scoring.json"
            start = wait_for(scorer, told.exists)
            port = int(json.loads(told.read_text("utf-8"))["http"].rpartition(":")[2])
            wait_for(empty, lambda: answers(empty_port))
            floor = Turn(empty.pid, empty_port, "/empty", lambda: rows[next(count) % len(rows)])
            score = Turn(scorer.pid, port, "/v1/score", lambda: rows[next(count) % len(rows)])
            decisions = Turn(scorer.pid, port, "/v1/decisions", lambda: body(next(count)))
            sync = sync_ms(folder)
            print(f"scorer listens after {start:.2f} s; {CONNECTIONS} connections; one sync of this disk {sync:.2f} ms")
            print(f"{'endpoint':16}{'req/s':>10}{'of empty':>10}{'p50 ms':>10}{'p99 ms':>10}{'CPU us':>10}")
            for turn in (score, decisions):
                _compare(floor, turn, secret, options)
        finally:
            for process in (empty, scorer):
                process.terminate()
                process.wait()
    return 0


def _compare(floor: Turn, turn: Turn, secret: str, options: argparse.Namespace) -> None:
    """Load an endpoint and the empty one in turns, and print the medians of both."""
    found: dict[str, list[Figures]] = {floor.path: [], turn.path: []}
    for number in range(options.rounds):
        # Whoever comes second meets a machine that the first has warmed or worn.
        for each in (floor, turn) if number % 2 else (turn, floor):
            found[each.path].append(load(each, secret, options.seconds))
    least = statistics.median(each.rate for each in found[floor.path])
    for path, figures in found.items():
        keys = ("rate", "p50", "p99", "cpu_us")
        rate, p50, p99, cpu = (statistics.median(getattr(one, key) for one in figures) for key in keys)
        print(f"{path:16}{rate:10.0f}{rate / least:10.0%}{p50:10.2f}{p99:10.2f}{cpu:10.0f}")


if __name__ == "__main__":
    sys.exit(main())
