"""The systemd units are hardened, start commands that exist, and are what `systemd-analyze` reads without a word."""

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.command_lines import complaint, in_shell

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "systemd"
SERVICES = sorted(FOLDER.glob("*.service"))
TIMERS = sorted(FOLDER.glob("*.timer"))
HARDENING = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectKernelModules": "yes",
    "ProtectControlGroups": "yes",
    "RestrictNamespaces": "yes",
    "RestrictSUIDSGID": "yes",
    "MemoryDenyWriteExecute": "yes",
    "LockPersonality": "yes",
    "SystemCallArchitectures": "native",
    "StateDirectoryMode": "0700",
    "UMask": "0077",
}


class _Repeated(dict[str, str]):
    """Keys of a section; one that stands twice is kept as lines, as systemd adds them up."""

    def __setitem__(self, key: str, value: object) -> None:
        if isinstance(value, list) and isinstance(self.get(key), list):
            value = [*self[key], *value]
        super().__setitem__(key, value)  # type: ignore[assignment]


def read_unit(text: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False, dict_type=_Repeated, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text)
    return parser


def findings(text: str) -> list[str]:
    """List what a service lacks of the hardening, and limits that are not set."""
    service = read_unit(text)["Service"]
    found = [f"{key} is {service.get(key)!r}" for key, value in HARDENING.items() if service.get(key) != value]
    wanted = ("User", "StateDirectory", "MemoryMax", "TasksMax", "RestrictAddressFamilies", "SystemCallFilter")
    found += [f"{key} is missing" for key in wanted if not service.get(key)]
    if service.get("User") in (None, "root"):
        found.append("runs as root")
    if service.get("Type") != "oneshot" and service.get("Restart") != "on-failure":
        found.append("is not restarted")
    return found


def test_every_process_has_its_unit() -> None:
    names = {path.name for path in SERVICES + TIMERS}
    processes = {"creditmesh-coordinator", "creditmesh-console", "creditmesh-node", "creditmesh-scorer"}
    assert {f"{name}.service" for name in processes} <= names
    assert {path.with_suffix(".service").name for path in TIMERS} <= names
    assert len(TIMERS) == 2


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.stem)
def test_a_service_is_hardened(path: Path) -> None:
    assert findings(path.read_text("utf-8")) == []


@pytest.mark.parametrize("key", [*HARDENING, "User", "MemoryMax", "Restart", "SystemCallFilter"])
def test_a_line_that_is_taken_out_is_missed(key: str) -> None:
    text = (FOLDER / "creditmesh-node.service").read_text("utf-8")
    assert findings(re.sub(rf"^{key}=.*\n", "", text, flags=re.MULTILINE)) != []


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.stem)
def test_a_service_starts_a_command_that_exists(path: Path) -> None:
    service = read_unit(path.read_text("utf-8"))["Service"]
    line = service["ExecStart"]
    if line.startswith("/bin/sh -c "):
        line = re.sub(r"\$\(.*?\)", "now", shlex.split(line)[2])
    command = in_shell(line)
    assert command is not None
    assert complaint(command) == ""
    # It writes where its own state folder is, and nowhere else.
    folders = {f"/var/lib/{name}" for name in service["StateDirectory"].split()}
    assert {str(Path(word).parent) for word in command if word.startswith("/var/lib/")} <= folders


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_reads_the_units_without_a_word(tmp_path: Path) -> None:
    copies = []
    for path in [*SERVICES, *TIMERS]:
        copies.append(tmp_path / path.name)
        # Programs of the product are not installed here; everything else is as shipped.
        copies[-1].write_text(re.sub(r"/opt/creditmesh/bin/[\w-]+", "/bin/true", path.read_text("utf-8")), "utf-8")
    command = ["systemd-analyze", "verify", "--man=no", *map(str, copies)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "creditmesh" in line]
    assert ours == []


@pytest.mark.parametrize("path", sorted((FOLDER / "drop-ins").glob("*.conf")), ids=lambda path: path.stem)
def test_a_drop_in_is_read(path: Path) -> None:
    (secret,) = [
        value for key, value in read_unit(path.read_text("utf-8"))["Service"].items() if key == "LoadCredential"
    ]
    assert re.fullmatch(r"[\w.]+:/etc/creditmesh/[\w.]+", secret)
