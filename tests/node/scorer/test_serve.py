"""The scorer as a process: what it imports, that it ends in order, and that a change of models fails no request."""

import asyncio
import json
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from audit.cli import main as audit
from node import config
from node.cli import main
from node.scorer.serve import open_office
from node.serving import Serving, install
from privacy.errors import InputError
from tests.node.scorer.bank_desk import ROOT, applicants, body, dictionary, in_service, make_bank, token
from tests.node.scorer.certificates import leaf, make_authority

PATIENCE_S = 60


@contextmanager
def scorer(settings: config.NodeConfig, folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run `creditmesh-node serve` and yield where it listens."""
    program = "import sys; from node.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "serve", "--config", str(folder / "node.toml")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=ROOT)
    told = settings.state.dir / "scoring.json"
    deadline = time.monotonic() + PATIENCE_S
    try:
        while not told.exists():
            assert process.poll() is None and time.monotonic() < deadline, "the scorer did not come up"
            time.sleep(0.05)
        yield f"http://{json.loads(told.read_text('utf-8'))['http']}", process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def test_the_scorer_imports_no_torch_and_no_trainer() -> None:
    program = (
        "import sys\n"
        "import node.scorer.serve\n"
        "from risk.modelfile import decode_model\n"
        "heavy = {'torch', 'flwr', 'polars', 'grpc', 'sklearn', 'scipy', 'matplotlib', 'onnx'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE_S)
    assert ended.returncode == 0, f"the scorer imports {ended.stderr}"


@pytest.mark.slow
def test_models_change_under_load_without_a_failed_request(tmp_path: Path) -> None:
    settings = make_bank(tmp_path)
    headers = {"authorization": f"Bearer {token(settings)}"}
    names = {in_service(each).sha256: each for each in ("scorecard", "trees", "head")}

    async def run(address: str) -> set[str]:
        seen: set[str] = set()
        goal = asyncio.Event()
        async with httpx.AsyncClient(base_url=address, headers=headers, timeout=PATIENCE_S) as client:

            async def load(lane: int) -> int:
                count = 0
                while not goal.is_set():
                    answer = await client.post("/v1/decisions", content=body(1_000_000 * lane + count))
                    assert answer.status_code == 200, answer.text
                    found = answer.json()
                    assert "unavailable" not in found and found["score"] == sum(found["dimensions"].values())
                    seen.add(names[found["model"]["sha256"]])
                    count += 1
                return count

            async def change() -> None:
                try:
                    for name in ("trees", "head", "scorecard"):
                        seen.clear()
                        await asyncio.to_thread(install, settings.state.dir, dictionary(), Serving(in_service(name)))
                        async with asyncio.timeout(PATIENCE_S):
                            while name not in seen:
                                await asyncio.sleep(0.02)
                        changed.append(name)
                finally:
                    goal.set()

            changed: list[str] = []
            await asyncio.gather(change(), *(load(lane) for lane in range(8)))
        return set(changed)

    with scorer(settings, tmp_path) as (address, process):
        assert asyncio.run(run(address)) == {"trees", "head", "scorecard"}
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    assert not (settings.state.dir / "scoring.json").exists()
    assert not (settings.state.dir / "decisions.db-wal").exists()  # closed in order
    assert audit(["verify", str(settings.state.dir / "decisions")]) == 0


def test_a_second_scorer_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = make_bank(tmp_path)
    with scorer(settings, tmp_path):
        assert main(["serve", "--config", str(tmp_path / "node.toml")]) == 2
    assert "another process writes this log" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('listen = "0.0.0.0:8090"', "not on loopback"),
        ('listen = "10.1.2.3:8090"', "not on loopback"),
        ('certificate = "a.pem"', "certificate and key together"),
        ('client_ca = "a.pem"', "beside client_ca"),
        ('listen = "here"', '"host:port"'),
        ('surprise = "x"', "unknown key scoring.surprise"),
    ],
)
def test_settings_that_would_be_unsafe_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, words: str
) -> None:
    make_bank(tmp_path)
    path = tmp_path / "node.toml"
    text = path.read_text("utf-8")
    path.write_text(text.replace('listen = "127.0.0.1:0"\n' if "listen" in line else "\0", "") + line + "\n", "utf-8")
    assert main(["serve", "--config", str(path)]) == 2
    complaint = capsys.readouterr().err
    assert words in complaint and complaint.count("\n") == 1


def test_use_and_token_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = make_bank(tmp_path)
    where = ["--config", str(tmp_path / "node.toml")]
    trees, head = in_service("trees"), in_service("head")
    assert main(["use", trees.sha256[:12], "--challenger", head.sha256, *where]) == 0
    assert trees.sha256 in capsys.readouterr().out
    serving = json.loads((settings.state.dir / "serving.json").read_text("utf-8"))
    assert serving["champion"]["network"] == trees.sha256 and serving["challenger"]["head"] == head.sha256
    for wrong, words in (
        (["use"], "one of: MODEL"),
        (["use", "ffffffff"], "0 models begin"),
        (["use", "nothing"], "neither a model's digest"),
        (["use", str(tmp_path / "policy.toml")], "not valid JSON"),
        (["use", "--promoted"], "no model was promoted"),
        (["use", "--chosen", "scorecard"], "no finished job"),
        (["token", "add", "Bad Name", "--role", "scorer"], "a token's name is"),
        (["token", "revoke", "nobody"], "no token named"),
    ):
        assert main([*wrong, *where]) == 2
        complaint = capsys.readouterr().err
        assert words in complaint and complaint.count("\n") == 1
    assert main(["token", "add", "till-1", "--role", "scorer", *where]) == 0
    secret = capsys.readouterr().out.strip()
    assert secret.startswith("cmt_") and len(secret) == 47
    assert main(["token", "add", "till-1", "--role", "risk", *where]) == 1
    assert main(["token", "list", *where]) == 0 and "till-1" in capsys.readouterr().out
    assert (settings.state.dir / "tokens.json").stat().st_mode & 0o777 == 0o600


def test_what_a_job_chose_and_a_quorum_signed_can_be_used(tmp_path: Path) -> None:
    settings = make_bank(tmp_path)
    state, where = settings.state.dir, ["--config", str(tmp_path / "node.toml")]
    network, head = in_service("trees"), in_service("head")
    models = {"network": network.network, "own": head.own, "partner": head.own, "head": head.head}
    for kind, key in (("network", "network"), ("mixed", "head"), ("own", "own")):
        (state / "result.json").write_text(json.dumps({"trees": {"chosen": kind, "models": models}}), "utf-8")
        assert main(["use", "--chosen", "trees", *where]) == 0
        champion = json.loads((state / "serving.json").read_text("utf-8"))["champion"]
        assert champion["kind"] == kind and champion[key] == models[key]
    for kind in ("network", "own"):
        # By digest alone, too, a model brings the calibration that its job fitted for this bank.
        assert main(["use", str(models[kind]), *where]) == 0
        champion = json.loads((state / "serving.json").read_text("utf-8"))["champion"]
        assert (champion["kind"], champion["head"]) == (kind, head.head)
    (state / "result.json").unlink()
    document = {"champion": in_service("scorecard").sha256, "challenger": network.sha256, "statements": {}}
    (state / "promoted.json").write_text(json.dumps(document), "utf-8")
    assert main(["use", "--promoted", *where]) == 0
    serving = json.loads((state / "serving.json").read_text("utf-8"))
    assert serving["champion"]["network"] == document["champion"]
    assert serving["challenger"]["network"] == document["challenger"]


def test_a_model_of_another_dictionary_enters_no_service(tmp_path: Path) -> None:
    settings = make_bank(tmp_path)
    before = (settings.state.dir / "serving.json").read_bytes()
    declared = dictionary()
    turned = [replace(each, levels=tuple(reversed(each.levels))) for each in declared.fields]
    other = replace(declared, fields=tuple(turned))
    for name in ("scorecard", "head"):
        with pytest.raises(InputError, match="another data dictionary"):
            install(settings.state.dir, other, Serving(in_service(name)))
    assert (settings.state.dir / "serving.json").read_bytes() == before


def test_beyond_the_token_a_caller_shows_a_certificate(tmp_path: Path) -> None:
    settings = make_bank(tmp_path)
    secret = token(settings)
    authority = make_authority("test")
    pairs = {"ca": authority, "server": leaf(authority, "server"), "client": leaf(authority, "client")}
    for name, made in pairs.items():
        (tmp_path / f"{name}.pem").write_bytes(made.certificate)
        (tmp_path / f"{name}.key").write_bytes(made.key)
    path = tmp_path / "node.toml"
    path.write_text(
        path.read_text("utf-8") + 'certificate = "server.pem"\nkey = "server.key"\nclient_ca = "ca.pem"\n', "utf-8"
    )
    trusted = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    with scorer(settings, tmp_path) as (address, _):
        secure = address.replace("http:", "https:")
        headers = {"authorization": f"Bearer {secret}"}
        with httpx.Client(verify=trusted, timeout=PATIENCE_S) as stranger, pytest.raises(httpx.TransportError):
            stranger.get(f"{secure}/v1/model", headers=headers)
        with httpx.Client(timeout=PATIENCE_S) as plain, pytest.raises(httpx.TransportError):
            plain.get(f"{address}/v1/model", headers=headers)
        trusted.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")
        with httpx.Client(verify=trusted, timeout=PATIENCE_S) as known:
            assert known.get(f"{secure}/v1/model", headers=headers).status_code == 200
            assert known.get(f"{secure}/v1/model").status_code == 401


def test_the_reference_is_frozen_from_the_banks_own_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = make_bank(tmp_path)
    declared = dictionary()
    names = [field.name for field in declared.model_fields]
    lines = [",".join([*names, declared.target.field])]
    lines += [",".join([*(str(row.get(name, "")) for name in names), "0"]) for row in applicants()]
    settings.source.table.write_text("\n".join(lines) + "\n", "utf-8")
    out = tmp_path / "frozen.json"
    command = ["reference", "--out", str(out), "--config", str(tmp_path / "node.toml")]
    assert main(command) == 0
    told = capsys.readouterr().out
    assert (
        f"{len(applicants())} rows" in told and "left out, empty in every row: " in told
    )  # this bank knows no platform
    assert out.stat().st_mode & 0o777 == 0o600
    shutil.copy(out, tmp_path / "reference.json")
    office = open_office(settings)
    assert office.engine.faults == {}
    office.close()
    assert main(command) == 2 and "exists" in capsys.readouterr().err
