"""An auditor at the bank recomputes noisy rounds too: from rows, the key of the split and the key of each share."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from node.archive import Archive
from node.record_store import read_egress
from node.replay import UPLOAD, Present, Report, replay_with
from tests.network import CODE, DATASET, Network
from tests.node.test_budget import noisy
from tests.node.test_replay import BANK, keep_log
from tests.virtual_time import run_virtual


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Network:
    network = Network.of(tmp_path_factory.mktemp("network"), 5)

    async def script() -> None:
        network.start()
        assert (await network.run(noisy(network)))[0] == "done"

    run_virtual(script())
    keep_log(network.nodes[BANK])
    return network


def audit(network: Network, number: int, split_key: bytes | None = BANK.encode()) -> Report:
    node = network.nodes[BANK]
    uploads = [event for event in read_egress(node.state, UPLOAD, "job-1") if event.round == number]
    present = Present(BANK, lambda: node.rows, DATASET, CODE, bytes(32), split_key=split_key)
    return replay_with(Archive(node.state, "").read("job-1"), uploads, number, present)


def test_every_round_of_an_honest_bank_matches(done: Network) -> None:
    assert [audit(done, number).state for number in range(1, 6)] == ["matched"] * 5


def test_without_the_key_of_the_split_nothing_can_be_said(done: Network) -> None:
    report = audit(done, 2, None)
    assert report.state == "missing" and "split.key" in report.findings[0].reason
    assert audit(done, 2, b"another key").state == "differs"


@pytest.mark.parametrize(
    ("change", "state"),
    [(lambda key: "", "missing"), (lambda key: key[::-1], "differs")],
)
def test_a_lost_or_changed_key_of_the_noise(done: Network, change: Callable[[str], str], state: str) -> None:
    path: Path = done.nodes[BANK].state / "jobs" / "job-1" / "uploads"
    before = path.read_bytes()
    changed, rest = [], before
    while rest:
        head, _, rest = rest.partition(b"\n")
        line = json.loads(head)
        content, rest = rest[: line["bytes"]], rest[line["bytes"] :]
        line["noise_key"] = change(line["noise_key"])
        changed += [json.dumps(line).encode() + b"\n", content]
    path.write_bytes(b"".join(changed))
    try:
        assert audit(done, 3).state == state
    finally:
        path.write_bytes(before)


def test_each_upload_has_a_key_of_its_own(done: Network) -> None:
    kept = Archive(done.nodes[BANK].state, "").read("job-1")
    keys = [key for _, key in kept.uploads()]
    assert len(set(keys)) == len(keys) == 5 and all(len(key) == 32 for key in keys)
