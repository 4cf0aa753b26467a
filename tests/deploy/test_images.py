"""Images and compose file: nothing runs as root, nothing comes from a network, and every command exists."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.command_lines import complaint

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")

ROOT = Path(__file__).resolve().parents[2]
IMAGES = sorted((ROOT / "deploy" / "images").glob("*.Dockerfile"))
COMPOSE = yaml.safe_load((ROOT / "deploy" / "compose" / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
BANKS = [name for name in SERVICES if name.startswith("bank-")]


def instructions(text: str) -> list[tuple[str, str]]:
    """Return (instruction, its text) of a Dockerfile, continued lines joined."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1].strip()) for line in joined.splitlines()]


def findings(text: str) -> list[str]:
    """List what an image of ours may not do."""
    steps = instructions(text)
    last = max(number for number, (name, _) in enumerate(steps) if name == "FROM")
    final = dict(steps[last:])
    found = []
    if final.get("USER") != "10001:10001":
        found.append("does not end as uid 10001")
    found += [f"lacks {name}" for name in ("HEALTHCHECK", "ENTRYPOINT", "CMD", "STOPSIGNAL") if name not in final]
    bases = [value for name, value in steps if name == "ARG" and value.startswith("BASE=")]
    if not bases or not re.fullmatch(r"BASE=python:3\.11[\w.-]*slim[\w.-]*(@sha256:[0-9a-f]{64})?", bases[0]):
        found.append("base is not a slim image by its tag")
    for _, value in steps:
        found += [f"installs {part}" for part in re.findall(r"pip install[^&]*", value) if "--no-index" not in part]
        if "pip install" in value and "--require-hashes" not in value:
            found.append("installs without hashes")
        found += [f"says {word}" for word in ("http://", "https://", "apt-get", "curl ") if word in value]
    if any(name == "ADD" for name, _ in steps) or any(value.startswith(". ") for _, value in steps):
        found.append("takes in the whole folder")
    return found


def test_there_is_an_image_of_each() -> None:
    assert [path.stem for path in IMAGES] == ["coordinator", "node"]


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.stem)
def test_an_image_is_as_it_should_be(path: Path) -> None:
    text = path.read_text("utf-8")
    assert findings(text) == []
    steps = dict(instructions(text))
    program = json.loads(steps["ENTRYPOINT"])
    assert complaint([*program, *json.loads(steps["CMD"])]) == ""
    assert program == [f"creditmesh-{path.stem}"]
    lock = (ROOT / "requirements" / f"{path.stem}.lock").read_text("utf-8")
    assert re.search(r"^(torch|flwr)==", lock, re.MULTILINE) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("USER 10001:10001", "USER root"),
        ("--require-hashes ", ""),
        ("--no-index", ""),
        ("COPY wheelhouse/ ./", "ADD wheelhouse/ ./"),
        ("python:3.11-slim-bookworm\n", "python:latest\n"),
        ("STOPSIGNAL SIGTERM", ""),
        ("WORKDIR /wheelhouse", "RUN apt-get update"),
    ],
)
def test_a_fault_in_an_image_is_found(old: str, new: str) -> None:
    text = IMAGES[0].read_text("utf-8")
    assert old in text
    assert findings(text.replace(old, new)) != []


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="hadolint is not installed")
def test_hadolint_has_nothing_to_say() -> None:
    done = subprocess.run(["hadolint", *map(str, IMAGES)], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_context_of_a_build_holds_wheels_and_locks_alone() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if not line.startswith("#")]
    assert lines == ["*", "!wheelhouse/", "!requirements/*.lock"]


def test_compose_starts_as_many_banks_as_a_job_needs() -> None:
    from coordinator.config import PolicySettings

    assert len(BANKS) == PolicySettings().min_members == 4
    assert {"coordinator", "console"} == set(SERVICES) - set(BANKS)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_hardened(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] == "10001:10001"
    assert service["tmpfs"][0].startswith("/tmp:rw,noexec,nosuid")
    assert service["pids_limit"] and service["mem_limit"]
    assert not {"privileged", "cap_add", "devices", "network_mode", "pid"} & set(service)
    # What is published is published to this machine alone.
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert all("docker.sock" not in volume for volume in service["volumes"])


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_starts_a_command_that_exists(name: str) -> None:
    service = SERVICES[name]
    assert complaint([service["image"].partition(":")[0], *service["command"]]) == ""
    if "build" in service:
        assert (ROOT / service["build"]["dockerfile"]).is_file()
        assert (ROOT / "deploy" / "compose" / service["build"]["context"]).resolve() == ROOT


def test_banks_share_no_network_and_no_volume() -> None:
    for name in BANKS:
        assert SERVICES[name]["networks"] == [name]
        assert COMPOSE["networks"][name] == {"internal": True}
        assert [volume.split(":")[0] for volume in SERVICES[name]["volumes"]] == [name, f"./rows/{name}"]
        assert SERVICES[name]["volumes"][1].endswith(":ro")
    assert SERVICES["coordinator"]["networks"] == BANKS
    assert set(COMPOSE["volumes"]) == {"coordinator", *BANKS}
