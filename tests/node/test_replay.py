"""An auditor at the bank: what was sent is recomputed from rows, code and sums; whatever else was sent is found."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from node.archive import Archive
from node.cli import main
from node.record_store import RecordStore, StoreSettings, load_log_key, read_egress
from node.replay import UPLOAD, Present, Report, replay_with
from privacy.errors import InputError, VerificationError
from privacy.log.instant import Instant
from privacy.log.record import Actor, Author, Entry, Event
from privacy.manifest import Manifest
from privacy.secagg.history import OpenedSum
from risk.job import contribute
from tests.network import CODE, DATASET, Network, Node
from tests.node.bank import make_bank
from tests.privacy.table import manifest_of
from tests.virtual_time import run_virtual

ROUND = 4
BANK = "bank-002"


def keep_log(node: Node) -> None:
    """Write what a node sent into a log on disk, as its gate does."""
    origin = f"{node.name}/privacy-log"
    author = Author(origin, bytes(32), Actor("service", "node", "node", "process"))
    signer = load_log_key(node.state, origin)
    store = RecordStore(StoreSettings(node.state, author, signer, "test", "0" * 64, lambda: Instant(10**15, 1)))
    for sent in node.log:
        body = {
            **sent.record, "msg_id": sent.msg_id, "to": sent.to, "bytes": len(sent.message), "attempt": 1,
            "payload_kind": sent.kind, "protection": sent.protection, "payload_sha256": sent.payload_sha256,
        }  # fmt: skip
        store.append([Entry("egress.authorised", body, sent.purpose, sent.job, sent.round)])
    store.close()


def play(folder: Path, script: Callable[[Network], None] = lambda _network: None) -> Network:
    """Run a job of five banks and keep the log of one."""
    network = Network.of(folder, 5)

    async def test() -> tuple[str, str, Any]:
        network.start()
        script(network)
        return await network.run(network.manifest(rejoin_s=60))

    assert run_virtual(test())[:2] == ("done", "")
    keep_log(network.nodes[BANK])
    return network


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Network:
    return play(tmp_path_factory.mktemp("honest"))


def present_of(network: Network, **changes: Any) -> Present:
    rows = network.nodes[BANK].rows
    return replace(Present(BANK, lambda: rows, DATASET, CODE, bytes(32)), **changes)


def uploads_of(network: Network, number: int) -> list[Event]:
    return [event for event in read_egress(network.nodes[BANK].state, UPLOAD, "job-1") if event.round == number]


def audit(network: Network, number: int = ROUND, **changes: Any) -> Report:
    kept = Archive(network.nodes[BANK].state, "").read("job-1")
    return replay_with(kept, uploads_of(network, number), number, present_of(network, **changes))


def test_every_round_of_an_honest_bank_matches(honest: Network) -> None:
    assert honest.heard_by is not None
    count = len(honest.heard_by.aggregator.opened)
    assert count > 10
    for number in range(1, count + 1):
        report = audit(honest, number)
        (finding,) = report.findings
        assert (report.state, report.exit_code, finding.reason) == ("matched", 0, "")
        assert finding.committed == finding.recomputed != ""


@pytest.mark.parametrize("number", [1, ROUND])
def test_a_bank_that_sent_something_else_than_its_rows_give_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    true, calls = contribute, 0

    def altered(request: Any, book: Any) -> np.ndarray:
        nonlocal calls
        part = true(request, book)
        if book.table.member == BANK:
            calls += 1
            if calls == number:
                part = part.copy()
                part[0] += 1
        return part

    monkeypatch.setattr("node.seat.contribute", altered)
    network = Network.of(tmp_path, 5)

    async def test() -> None:
        network.start()
        await network.run(network.manifest())

    run_virtual(test())
    keep_log(network.nodes[BANK])

    report = audit(network, number)
    assert (report.state, report.exit_code) == ("differs", 1)
    assert report.findings[0].committed != report.findings[0].recomputed
    assert "differs" in report.lines()[0]
    # What came after was computed from the sum that it spoiled, and is right again.
    assert audit(network, number + 1).state == "matched"


def test_both_attempts_of_a_round_are_recomputed_after_a_restart(tmp_path: Path) -> None:
    def script(network: Network) -> None:
        node = network.nodes[BANK]

        def restart(outgoing: Any) -> bool:
            if (outgoing.kind, outgoing.round) != ("secagg.upload", ROUND):
                return True
            node.before_send = lambda _outgoing: True
            node.log.append(outgoing)  # recorded, and killed before it could leave
            node.die()
            node.start()
            return False

        node.before_send = restart

    network = play(tmp_path, script)
    report = audit(network)
    assert [(finding.epoch, finding.state) for finding in report.findings] == [(1, "matched"), (2, "matched")]
    assert audit(network, ROUND + 3).state == "matched"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dataset": "e" * 64}, "the rows changed"),
        ({"dataset": ""}, "now gone"),
        ({"code_sha256": "e" * 64}, "the code changed"),
        ({"commit_key": None}, "commit.key is gone"),
    ],
)
def test_what_changed_since_is_named(honest: Network, changes: dict[str, Any], words: str) -> None:
    report = audit(honest, **changes)
    assert (report.state, report.exit_code) == ("missing", 3)
    assert words in report.lines()[0]


def broken(network: Network, folder: Path, name: str, content: bytes) -> Report:
    """Audit with one kept file changed."""
    kept = Archive(network.nodes[BANK].state, "").read("job-1")
    for each in kept.folder.iterdir():
        (folder / each.name).write_bytes(content if each.name == name else each.read_bytes())
    return replay_with(replace(kept, folder=folder), uploads_of(network, ROUND), ROUND, present_of(network))


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("sums", lambda content: b"", "the sum of round 1 is not kept"),
        ("sums", lambda content: content[:-1], ""),
        ("sums", lambda content: content[: content.index(b"\n") + 3], "the sum of round 1 is not kept"),
        ("sums", lambda content: content.replace(b"\n", b"\n\x01", 1), "the sum of round 1 is not kept"),
        ("sums", lambda content: b"{}\n" + content, "the sum of round 1 is not kept"),
        ("sums", lambda content: content.replace(b'"cohort": "', b'"cohort": "0', 1), "is not kept"),
        ("uploads", lambda content: b"", "header that left is not kept"),
        ("uploads", lambda content: content.replace(b"upload", b"uploda"), "header that left is not kept"),
    ],
)
def test_what_is_not_kept_is_named(
    honest: Network, tmp_path: Path, name: str, change: Callable[[bytes], bytes], words: str
) -> None:
    folder = honest.nodes[BANK].state / "jobs" / "job-1"
    report = broken(honest, tmp_path, name, change((folder / name).read_bytes()))
    assert report.state == ("missing" if words else "matched")
    assert words in report.lines()[0]


def test_a_kept_sum_that_was_altered_with_its_digest_leads_to_another_request(honest: Network, tmp_path: Path) -> None:
    lines = (honest.nodes[BANK].state / "jobs" / "job-1" / "sums").read_bytes()
    cohort = json.loads(lines[: lines.index(b"\n")])["cohort"].encode()
    report = broken(honest, tmp_path, "sums", lines.replace(cohort, cohort[::-1], 1))
    assert "do not lead to the request" in report.lines()[0] and report.exit_code == 3


def opened(number: int, vector: bytes) -> OpenedSum:
    return OpenedSum(number, number, bytes(32), ("a", "b"), bytes(32), vector)


def manifest() -> Manifest:
    return manifest_of(["bank-000", "bank-001", "bank-002", "bank-003"])


def test_a_sum_shown_again_with_other_words_after_a_restart_is_refused(tmp_path: Path) -> None:
    for _ in range(2):
        archive = Archive(tmp_path, DATASET)
        archive.begin(manifest())
        archive.keep_sum(opened(1, b"one"))
    with pytest.raises(VerificationError) as caught:
        archive.keep_sum(opened(1, b"two"))
    assert caught.value.code == "sum-changed"
    assert [kept.vector for kept in archive.read("job-1").sums()] == [b"one"]


def test_what_a_crash_left_half_written_is_cut_off(tmp_path: Path) -> None:
    archive = Archive(tmp_path, DATASET)
    archive.begin(manifest())
    archive.keep_sum(opened(1, b"one"))
    archive.keep_sum(opened(2, b"two"))
    sums = tmp_path / "jobs" / "job-1" / "sums"
    sums.write_bytes(sums.read_bytes()[:-2])
    archive.begin(manifest())
    archive.keep_sum(opened(2, b"two"))
    assert [kept.vector for kept in archive.read("job-1").sums()] == [b"one", b"two"]
    assert sums.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "jobs").write_text("in the way")
    with pytest.raises(InputError) as caught:
        Archive(tmp_path, DATASET).begin(manifest())
    assert caught.value.code == "archive-unusable"


# -- the command -------------------------------------------------------------------------------------------------------


def install(network: Network, folder: Path) -> Path:
    """Make the folder of a bank whose state is that of a node of the network; return its node.toml."""
    bank = make_bank(folder, BANK)
    state = folder / "state"
    shutil.rmtree(state)  # with the keys of a bank that has no log yet
    for path in network.nodes[BANK].state.rglob("*"):
        if path.is_file():
            target = state / path.relative_to(network.nodes[BANK].state)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return bank.config


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["job-9", "1"], 2, "nothing is kept of a job 'job-9'"),
        (["../job-1", "1"], 2, "nothing is kept of a job"),
        (["job-1", "999"], 2, "the log holds no upload of job job-1 in round 999"),
        (["job-1", "0"], 2, "a round is a number from 1"),
        (["job-1", "one"], 2, "a round is a number from 1"),
        (["job-1"], 2, "ROUND"),
    ],
)
def test_a_job_or_round_that_is_unknown_is_one_line(
    honest: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    config = install(honest, tmp_path)
    assert main(["replay", *arguments, "--config", str(config)]) == code
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and words in captured.err


def test_the_command_prints_what_it_found(
    honest: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import node.replay as replay_module

    config = install(honest, tmp_path)
    command = ["replay", "job-1", str(ROUND), "--config", str(config)]
    # Code and rows of the test network are not those of this folder, and that is what it says first.
    assert main(command) == 3
    assert "missing: the code changed" in capsys.readouterr().out

    rows = honest.nodes[BANK].rows
    monkeypatch.setattr(replay_module, "installed_digest", lambda: CODE)
    monkeypatch.setattr(replay_module, "dataset_digest", lambda *_: DATASET)
    monkeypatch.setattr(replay_module, "read_dictionary", lambda *_: rows[0])
    monkeypatch.setattr(replay_module, "read_table", lambda *_: rows[1])
    (tmp_path / "state" / "commit.key").write_bytes(bytes(32))
    assert main(command) == 0
    assert capsys.readouterr().out == f"job job-1 round {ROUND} (epoch 1, position {ROUND}): matched\n"
    assert main([*command, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["job"], document["round"], document["state"]) == ("job-1", ROUND, "matched")
    (tmp_path / "state" / "commit.key").write_bytes(bytes([1]) * 32)
    assert main(command) == 1
    assert "differs" in capsys.readouterr().out
    (tmp_path / f"{BANK}.csv").unlink()
    assert main(command) == 3
