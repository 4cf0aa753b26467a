"""The verifier's steps about witnesses: which cosignatures hold, and how far the quorum reaches."""

import pytest

from privacy.log.checkpoint import Checkpoint, cosign_checkpoint
from privacy.log.cosignature import cosign
from privacy.log.journal import hash_reader
from privacy.log.note import COSIGNATURE, NoteSigner
from privacy.log.policy import REGULATOR, Policy, network_policy
from privacy.log.tree import root_at
from privacy.log.verify import Report, Step, verify_log
from tests.privacy.logs import ORIGIN, MemoryLog, egress, opened

WHEN = 1_790_000_000
WITNESSES = {name: NoteSigner(f"{name}/witness", bytes([place] * 32))
             for place, name in enumerate(["bank-b", "bank-c", "bank-d", REGULATOR], 1)}  # fmt: skip
Line = tuple[int, str]


@pytest.fixture
def log() -> MemoryLog:
    log = MemoryLog()
    log.append(opened())
    for number in range(6):
        log.append(egress(2 * number), egress(2 * number + 1))
    return log


def policy(log: MemoryLog, *names: str) -> Policy:
    keys = {name: WITNESSES[name].verifier(COSIGNATURE) for name in names or ("bank-b", "bank-c", "bank-d")}
    return network_policy(log.source().key, "bank-a", keys)


def line(log: MemoryLog, name: str, size: int, root: bytes | None = None) -> Line:
    root = root_at(size, hash_reader(log.database)) if root is None else root
    return size, cosign(Checkpoint(ORIGIN, size, root).text(), WITNESSES[name], WHEN)


def steps(report: Report) -> tuple[Step, Step]:
    return report.step(11), report.step(12)


def test_a_quorum_over_the_whole_log_passes(log: MemoryLog) -> None:
    lines = [line(log, name, size) for size in (7, 13) for name in ("bank-c", "bank-b")]
    held, quorum = steps(verify_log(log.source(cosignatures=lines, policy=policy(log))))
    assert (held.status, held.detail) == ("passed", "4 checked")
    assert quorum.status == "passed"
    assert quorum.detail == "2 witnesses cosigned all 13 records; the policy asks for 2 of 3 witnesses"


def test_below_the_quorum_the_newest_records_are_pending(log: MemoryLog) -> None:
    lines = [line(log, "bank-b", 7), line(log, "bank-c", 7), line(log, "bank-b", 13)]
    held, quorum = steps(verify_log(log.source(cosignatures=lines, policy=policy(log))))
    assert held.status == "passed"
    assert quorum.status == "incomplete"
    assert quorum.detail.startswith("pending: the last 6 of 13 records")


def test_cosignatures_of_two_sizes_do_not_add_up(log: MemoryLog) -> None:
    lines = [line(log, "bank-b", 11), line(log, "bank-c", 13)]
    assert steps(verify_log(log.source(cosignatures=lines, policy=policy(log))))[1].status == "incomplete"


def test_one_witness_twice_is_one_witness(log: MemoryLog) -> None:
    lines = [line(log, "bank-b", 13)] * 2
    assert steps(verify_log(log.source(cosignatures=lines, policy=policy(log))))[1].status == "incomplete"


def test_a_cosignature_for_another_history_fails(log: MemoryLog) -> None:
    lines = [line(log, "bank-b", 13), line(log, "bank-c", 13), line(log, "bank-d", 9, bytes(32))]
    held, _ = steps(verify_log(log.source(cosignatures=lines, policy=policy(log))))
    assert (held.status, held.detail) == ("failed", "the cosignature by bank-d at 9 is not for this history")


def test_a_cosignature_beyond_the_end_says_that_records_are_gone(log: MemoryLog) -> None:
    lines = [line(log, "bank-b", 13), line(log, "bank-c", 13)]
    events = list(log.source().events)[:9]
    checkpoints = list(log.source().checkpoints)[:5]
    source = log.source(events=events, checkpoints=checkpoints, hashes=None, cosignatures=lines, policy=policy(log))
    held, quorum = steps(verify_log(source))
    assert (held.status, held.detail) == ("rolled-back", "witnesses cosigned 13 records, the log shows 9")
    assert quorum.status == "incomplete"


def test_a_stolen_log_key_makes_a_fork_without_a_quorum(log: MemoryLog) -> None:
    """Whoever holds the log's key signs what he likes; the witnesses' lines belong to the history that they saw."""
    lines = [line(log, name, 13) for name in ("bank-b", "bank-c")]
    fork = MemoryLog()
    fork.append(opened())
    for number in range(6):
        fork.append(egress(2 * number), egress(2 * number + 1, "cd" if number == 3 else "ab"))
    assert not [step for step in verify_log(fork.source()).steps if step.status == "failed"]
    report = verify_log(fork.source(cosignatures=lines, policy=policy(log)))
    assert [step.number for step in report.steps if step.status == "failed"] == [11]
    assert steps(verify_log(fork.source(cosignatures=[], policy=policy(log))))[1].status == "incomplete"


def test_lines_inside_a_checkpoint_count_and_foreign_ones_do_not(log: MemoryLog) -> None:
    notes = list(log.source().checkpoints)
    stranger = NoteSigner("stranger/witness", bytes([9] * 32))
    for signer in (WITNESSES["bank-b"], stranger, WITNESSES["bank-d"]):
        notes[-1] = cosign_checkpoint(notes[-1], signer, WHEN)
    held, quorum = steps(verify_log(log.source(checkpoints=notes, policy=policy(log))))
    assert (held.status, held.detail) == ("passed", "2 checked, 1 of unknown keys ignored")
    assert quorum.status == "passed"


def test_a_malformed_line_is_reported(log: MemoryLog) -> None:
    lines = [line(log, "bank-b", 13), (13, "— bank-c/witness !\n")]
    held, _ = steps(verify_log(log.source(cosignatures=lines, policy=policy(log))))
    assert held.status == "failed"


def test_a_regulator_may_make_up_the_quorum(log: MemoryLog) -> None:
    asked = policy(log, "bank-b", "bank-c", "bank-d", REGULATOR)
    lines = [line(log, name, 13) for name in ("bank-b", REGULATOR)]
    assert steps(verify_log(log.source(cosignatures=lines, policy=asked)))[1].status == "incomplete"
    lines.append(line(log, "bank-d", 13))
    assert steps(verify_log(log.source(cosignatures=lines, policy=asked)))[1].status == "passed"


def test_without_a_policy_both_steps_are_skipped(log: MemoryLog) -> None:
    held, quorum = steps(verify_log(log.source(cosignatures=[line(log, "bank-b", 13)])))
    assert held.status == quorum.status == "skipped"


def test_a_policy_that_asks_for_nobody_is_met(log: MemoryLog) -> None:
    held, quorum = steps(verify_log(log.source(policy=Policy(log.source().key, {}, 0))))
    assert (held.status, quorum.status) == ("skipped", "passed")


def test_a_line_that_is_half_a_witness_is_no_stranger(log: MemoryLog) -> None:
    lines = [line(log, "bank-b", 13), line(log, "bank-c", 13)]
    size, honest = line(log, "bank-d", 13)

    renamed = (size, honest.replace("bank-d/witness", "bank-e/witness"))
    held, _ = steps(verify_log(log.source(cosignatures=[*lines, renamed], policy=policy(log))))
    assert held.status == "failed" and "under another name" in held.detail

    rekeyed = (size, cosign(honest, NoteSigner("bank-d/witness", b"n" * 32), WHEN))
    held, quorum = steps(verify_log(log.source(cosignatures=[*lines, rekeyed], policy=policy(log))))
    assert held.status == "flagged" and "of another key" in held.detail
    assert quorum.status == "passed"
