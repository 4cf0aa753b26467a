"""Where the console listens: loopback without TLS, elsewhere only with it, and never where it cannot."""

import http.client
import os
import signal
import ssl
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from coordinator.cli import main
from tests.coordinator.console.room import open_room

START = [sys.executable, "-c", "from coordinator.cli import main; raise SystemExit(main())", "console"]


@pytest.mark.parametrize(
    ("lines", "arguments", "said"),
    [
        ('listen = "0.0.0.0:0"', (), "needs [console] certificate and key"),
        ("", ("--listen", "192.0.2.1:8080"), "needs [console] certificate and key"),
        ("", ("--listen", "nonsense"), "host:port"),
        ('certificate = "keys/server.pem"', (), "belong together"),
        ('certificate = "keys/server.pem"\nkey = "keys/open.key"', (), "chmod 600"),
        ('certificate = "keys/server.pem"\nkey = "keys/ca.key"', (), "cannot be used"),
        ('certificate = "keys/none.pem"\nkey = "keys/server.key"', (), "none.pem"),
        ("nonsense = 1", (), "unknown key"),
    ],
)
def test_an_unsafe_start_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: str, arguments: tuple[str, ...], said: str
) -> None:
    with open_room(tmp_path) as room:
        config = room.folder / "coordinator.toml"
        config.write_text(config.read_text() + f"\n[console]\n{lines}\n")
        (room.folder / "keys" / "open.key").write_text("x")
        assert main(["console", "--config", str(config), *arguments]) == 2
        told = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("{")]
        assert len(told) == 1 and said in told[0]


@pytest.mark.slow
@pytest.mark.parametrize("secure", [False, True])
def test_it_serves_and_stops(tmp_path: Path, secure: bool) -> None:
    with open_room(tmp_path) as room:
        config = room.folder / "coordinator.toml"
        tls = 'certificate = "keys/server.pem"\nkey = "keys/server.key"\n' if secure else ""
        config.write_text(config.read_text() + f'\n[console]\nlisten = "127.0.0.1:0"\n{tls}')
    process = subprocess.Popen([*START, "--config", str(config)], stderr=subprocess.PIPE, text=True, env=os.environ)
    try:
        assert process.stderr is not None
        port = int(process.stderr.readline().rpartition('/", ')[0].rpartition(":")[2])
        trust = ssl.create_default_context(cafile=str(room.folder / "keys" / "ca.pem")) if secure else None
        line = (
            http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=trust)
            if secure
            else http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        )
        with closing(line):
            line.request("GET", "/login")
            answer = line.getresponse()
            assert answer.status == 200 and answer.headers["server"] is None
            assert ("Secure" in (answer.headers["set-cookie"] or "")) is secure
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        if process.stderr is not None:
            process.stderr.close()


def test_vendored_files_are_what_their_sums_say() -> None:
    import hashlib

    folder = Path(__file__).resolve().parents[3] / "coordinator" / "console" / "static" / "vendor"
    listed = dict(line.split()[::-1] for line in (folder / "SHA256SUMS").read_text("utf-8").splitlines())
    found = {path.name for path in folder.iterdir()} - {"SHA256SUMS"}
    assert found == set(listed)
    for name, digest in listed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert {"htmx-LICENSE.txt", "uplot-LICENSE.txt"} <= found
