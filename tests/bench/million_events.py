"""A log of a million events: how fast the node's own store takes them, and what verifying them costs.

    python -m tests.bench.million_events [--events 1000000] [--group 100] [--folder FOLDER]

The log is built by the store that ships, durably, with so many events in each commit: what was sent, what was taken
and the head of the peer (`egress.authorised`, `ingress.received`, `peer.checkpoint`) in turn. Then `creditmesh-audit
verify` runs on it as a user runs it. Before, a small log takes single appends, each beside a sync of the disk itself in
the same second, and appends of many threads at once, which share commits. Printed are medians and 99th percentiles,
events per second, wall clock, CPU and the largest resident memory of the verifier, and its time for a million events
in proportion where the log has fewer. A folder that holds such a log already is verified only.
"""

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from node.record_store import RecordStore, StoreSettings, load_log_key
from privacy.log.instant import Instant
from privacy.log.record import Actor, Author, Entry

__all__ = ["Built", "Singles", "Verified", "build", "entries", "shared_rate", "singles", "verify"]

ORIGIN = "bank-a/privacy-log"
PEER = "coordinator/privacy-log"
PURPOSE = "credit-risk-model"
MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Built:
    """What building took: events, seconds of wall clock and of CPU, bytes of the database."""

    events: int
    wall_s: float
    cpu_s: float
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class Singles:
    """Milliseconds of each single append, and of a sync of one page on the same disk just before it, ascending."""

    append_ms: list[float]
    sync_ms: list[float]


@dataclass(frozen=True, slots=True)
class Verified:
    """What verifying took: exit code, seconds of wall clock and of CPU, largest resident bytes."""

    code: int
    wall_s: float
    cpu_s: float
    peak_bytes: int


def entries(count: int) -> Iterator[Entry]:
    """Yield so many events, three for each exchange; every message has an id of its own."""
    for number in range(count):
        exchange, part = divmod(number, 3)
        job, position, digest = f"job-{exchange // 1000:06}", exchange % 1000, f"{number:064x}"
        body: dict[str, object] = {"bytes": 1000 + exchange % 997, "payload_sha256": digest}
        if part == 0:
            body |= {"msg_id": f"{job}/1/{position}/secagg.upload/bank-a>coordinator", "to": "coordinator"}
            yield Entry(
                "egress.authorised", body | {"payload_kind": "secagg.upload", "protection": "masked"}, PURPOSE, job
            )
        elif part == 1:
            body |= {"msg_id": f"{job}/1/{position}/secagg.sum/coordinator>bank-a", "from": "coordinator"}
            yield Entry("ingress.received", body | {"accepted": True}, PURPOSE, job)
        else:
            seen = {"origin": PEER, "size": exchange + 1, "root": digest, "linked": True, "cosigners": []}
            yield Entry("peer.checkpoint", seen)


def build(folder: Path, events: int, group: int) -> Built:
    """Append events to a new log in `folder`, `group` in each durable commit."""
    store = _opened(folder)
    coming, wall, cpu = entries(events), time.perf_counter(), time.process_time()
    while batch := list(islice(coming, group)):
        store.append(batch)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    store.close()
    return Built(events, wall, cpu, (folder / "log.db").stat().st_size)


def singles(folder: Path, times: int) -> Singles:
    """Append so many events one by one to a new log in `folder`, each after a sync of the disk itself."""
    store, append_ms, sync_ms = _opened(folder), [], []
    descriptor = os.open(folder / "sync.probe", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        for number, entry in enumerate(entries(times)):
            start = time.perf_counter()
            os.pwrite(descriptor, bytes(4096), 4096 * number)
            os.fdatasync(descriptor)
            middle = time.perf_counter()
            store.append([entry])
            append_ms.append(1000 * (time.perf_counter() - middle))
            sync_ms.append(1000 * (middle - start))
    finally:
        os.close(descriptor)
        store.close()
    return Singles(sorted(append_ms), sorted(sync_ms))


def shared_rate(folder: Path, threads: int, each: int) -> float:
    """Return events per second when so many threads append one event at a time to a new log, and share commits."""
    store, coming = _opened(folder), list(entries(threads * each))

    def write(place: int) -> None:
        for entry in coming[place::threads]:
            store.append([entry])

    running = [threading.Thread(target=write, args=(place,)) for place in range(threads)]
    start = time.perf_counter()
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    took = time.perf_counter() - start
    store.close()
    return len(coming) / took


def verify(folder: Path) -> Verified:
    """Run `creditmesh-audit verify` on the folder in a process of its own."""
    code = "import sys; from audit.cli import main; sys.exit(main(sys.argv[1:]))"
    line = [sys.executable, "-c", code, "verify", "--no-state", str(folder)]
    start = time.perf_counter()
    child = os.posix_spawn(sys.executable, line, os.environ)
    _, status, used = os.wait4(child, 0)
    wall = time.perf_counter() - start
    return Verified(os.waitstatus_to_exitcode(status), wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def _opened(folder: Path) -> RecordStore:
    folder.mkdir(exist_ok=True)
    who = Author(ORIGIN, os.urandom(16), Actor("service", "bank-a", "node", "mtls"))
    return RecordStore(StoreSettings(folder, who, load_log_key(folder, ORIGIN), "creditmesh", "00" * 32, _clock))


def _clock() -> Instant:
    return Instant(time.time_ns() // 1000, time.monotonic_ns() // 1000)


def _percentiles(ascending: list[float]) -> str:
    return f"{ascending[len(ascending) // 2]:.2f} ms p50, {ascending[len(ascending) * 99 // 100]:.2f} ms p99"


def _load() -> str:
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def _report_appends(folder: Path) -> None:
    found, rate = singles(folder / "single", 300), shared_rate(folder / "shared", 64, 100)
    print(f"disk: {_percentiles(found.sync_ms)} to sync a page; {_load()}")
    print(f"append alone, one event in a commit: {_percentiles(found.append_ms)}")
    print(f"append by 64 threads that share commits: {rate:.0f} events/s")


def _report(folder: Path, events: int, group: int) -> int:
    if not (folder / "log.db").exists():
        with tempfile.TemporaryDirectory(dir=folder) as other:
            _report_appends(Path(other))
        built = build(folder, events, group)
        print(f"append of {built.events} events, {group} in a commit: {built.wall_s:.1f} s,", end=" ")
        print(f"{built.cpu_s:.1f} s CPU, {built.events / built.wall_s:.0f} events/s (goal 5000),", end=" ")
        print(f"{built.events / built.cpu_s:.0f} a CPU second; {built.stored_bytes / built.events:.0f} B an event")
    found = verify(folder)
    print(f"verify: exit code {found.code}, {found.wall_s:.1f} s, {found.cpu_s:.1f} s CPU,", end=" ")
    print(f"peak {found.peak_bytes / 1e6:.0f} MB (goals for a million: 60 s, 200 MB); {_load()}")
    if events < MILLION:
        times = MILLION / events
        print(f"verify of a million in proportion: {found.wall_s * times:.0f} s, {found.cpu_s * times:.0f} s CPU")
    return found.code


def main() -> int:
    """Build, verify and print; return the verifier's exit code."""
    parser = argparse.ArgumentParser(description="Append and verify a large log.")
    parser.add_argument("--events", type=int, default=MILLION)
    parser.add_argument("--group", type=int, default=100)
    parser.add_argument("--folder", type=Path, help="where the log is built, or lies; kept")
    options = parser.parse_args()
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
        return _report(options.folder, options.events, options.group)
    with tempfile.TemporaryDirectory() as folder:
        return _report(Path(folder), options.events, options.group)


if __name__ == "__main__":
    sys.exit(main())
