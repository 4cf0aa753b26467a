"""How fast the console's pages are while fifty people watch a running job: the console as a process, pages one by one.

python -m tests.bench.console_pages [--watchers 50] [--pages 200] [--members 200]
"""

import argparse
import contextlib
import http.client
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from coordinator.console.door import cookie_name
from coordinator.store import Member, Store
from tests.coordinator.console.room import PASSWORD, Room, open_room, token_of

__all__: list[str] = []

PAGES = (
    "/",
    "/members",
    "/jobs",
    "/jobs/{job}",
    "/jobs/{job}?show=all",
    "/measures",
    "/models",
    "/privacy",
    "/log",
    "/health",
)


def main() -> int:
    """Run it and print one line a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--watchers", type=int, default=50)
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--members", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, open_room(Path(folder)) as room:
        for number in range(5, options.members):
            room.store.add_member(Member(f"bank-{number}", f"{number:04x}" * 16, 1000 + number))
        with _console(room) as port:
            _measure(room, port, options)
    return 0


@contextlib.contextmanager
def _console(room: Room) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    command = [sys.executable, "-c", "from coordinator.cli import main; raise SystemExit(main())", "console"]
    command += ["--config", str(room.folder / "coordinator.toml"), "--listen", f"127.0.0.1:{port}"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    process.stderr.readline()
    try:
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _measure(room: Room, port: int, options: argparse.Namespace) -> None:
    job = room.store.add_job("scorecard", room.store.job(room.job).spec)
    room.store.set_job_state(job, "joining")
    cookie = _log_in(port)
    cookies = [_log_in(port) for _ in range(-(-options.watchers // 5))]
    held = [_watch(port, job, cookies[number // 5]) for number in range(options.watchers)]
    over = threading.Event()
    busy = threading.Thread(target=_rounds, args=(room.store, job, over))
    busy.start()
    took: dict[str, list[float]] = {page: [] for page in PAGES}
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for number in range(options.pages):
        page = PAGES[number % len(PAGES)]
        began = time.perf_counter()
        line.request("GET", page.format(job=room.job), headers={"Cookie": cookie})
        answer = line.getresponse()
        answer.read()
        assert answer.status == 200, (page, answer.status)
        took[page].append((time.perf_counter() - began) * 1000)
    over.set()
    busy.join()
    every = sorted(ms for each in took.values() for ms in each)
    for page, each in took.items():
        print(f"{page:<22} median {statistics.median(each):6.1f} ms   worst {max(each):6.1f} ms")
    print(
        f"all, {len(held)} watching: median {statistics.median(every):.1f} ms, "
        f"p95 {every[int(len(every) * 0.95)]:.1f} ms"
    )
    for sock in held:
        sock.close()


def _rounds(store: Store, job: str, over: threading.Event) -> None:
    number = 0
    while not over.wait(0.1):
        number += 1
        store.add_event(job, "round-opened", {"number": number, "name": f"newton-{number}", "ms": 70, "survivors": 5})


def _log_in(port: int) -> str:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    line.request("GET", "/login")
    page = line.getresponse()
    nonce = page.headers["set-cookie"].partition(";")[0]
    form = f"token={token_of(page.read().decode())}&name=operator&password={PASSWORD.replace(' ', '+')}"
    kind = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": nonce}
    line.request("POST", "/login", form, kind)
    answer = line.getresponse()
    cookies = [value.partition(";")[0] for value in answer.headers.get_all("set-cookie") or []]
    return next(each for each in cookies if each.startswith(f"{cookie_name(False)}="))


def _watch(port: int, job: str, cookie: str) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=60)
    host = f"127.0.0.1:{port}"
    sock.sendall(f"GET /jobs/{job}/stream?after=0 HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n".encode())
    assert b"200" in sock.recv(16)
    threading.Thread(target=_drain, args=(sock,), daemon=True).start()
    return sock


def _drain(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while sock.recv(65536):
            pass


if __name__ == "__main__":
    raise SystemExit(main())
