"""A demo's logs under random tampering: nothing passes unnoticed; `make tamper` plays a thousand cases."""

import random
import shutil
from pathlib import Path

import pytest

from tests.e2e.demo_run import demo, write_small_room
from tests.tamper.campaign import play
from tests.tamper.evidence import COORDINATOR, Evidence, audit, gather
from tests.tamper.forge import disarmed, edited, resign
from tests.tamper.mutations import MUTATIONS

pytestmark = pytest.mark.slow
CASES = 60


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    folder = tmp_path_factory.mktemp("tamper")
    ended = demo("--data", write_small_room(folder / "room"), "--out", folder / "run")
    assert ended.code == 0, ended.err
    return gather(folder / "run", folder / "evidence")


def reconciled(evidence: Evidence, **replaced: Path) -> tuple[int, str]:
    logs = [str(replaced.get(party, evidence.state(party))) for party in evidence.parties]
    return audit("reconcile", *logs, "--members", str(evidence.members))


def test_the_honest_logs_hold(evidence: Evidence) -> None:
    states = [str(evidence.state(party)) for party in evidence.parties]
    assert audit("verify", *states, "--members", str(evidence.members), "--no-state")[0] == 0
    assert reconciled(evidence)[0] == 0


def test_nothing_random_passes_unnoticed(evidence: Evidence, tmp_path: Path) -> None:
    outcomes = [play(evidence, 1, case, tmp_path) for case in range(CASES)]

    missed = [f"python -m tests.tamper --seed 1 --only {each.case}: {each}" for each in outcomes]
    assert [line for line, each in zip(missed, outcomes, strict=True) if each.verdict == "missed"] == []
    noticed = sum(each.verdict == "noticed" for each in outcomes)
    assert noticed > CASES * 3 // 4
    assert len({each.mutation for each in outcomes}) > sum(len(set(each)) for each in MUTATIONS.values()) // 2


def test_a_bank_that_signs_its_history_anew_is_held_to_what_it_told(evidence: Evidence, tmp_path: Path) -> None:
    bank = evidence.banks[0]
    state = Path(shutil.copytree(evidence.state(bank), tmp_path / "state"))

    def change(events: list[bytes]) -> None:
        place = next(place for place, each in enumerate(events) if b'"job.decided"' in each)
        events[place] = edited(events[place], salt=random.Random(1).randbytes(16).hex())

    resign(state, change)
    with disarmed(state) as database:
        database.execute("DELETE FROM cosignature")  # Else what the witnesses signed would give it away before.

    code, said = reconciled(evidence, **{bank: state})
    assert code == 1 and "heads known from elsewhere" in said and COORDINATOR in said


def test_a_coordinator_that_signs_its_history_anew_is_held_to_what_it_told(evidence: Evidence, tmp_path: Path) -> None:
    state = Path(shutil.copytree(evidence.state(COORDINATOR), tmp_path / "state"))

    def change(events: list[bytes]) -> None:
        del events[next(place for place, each in enumerate(events) if b'"ingress.received"' in each)]

    resign(state, change)
    with disarmed(state) as database:
        database.execute("DELETE FROM cosignature")  # Else what the witnesses signed would give it away before.

    code, said = reconciled(evidence, **{COORDINATOR: state})
    assert code == 1 and "heads known from elsewhere" in said


def test_two_logs_exchanged_are_noticed(evidence: Evidence, tmp_path: Path) -> None:
    one, two = evidence.banks[:2]
    state = Path(shutil.copytree(evidence.state(two), tmp_path / "state"))
    shutil.copy(evidence.state(one) / "origin", state / "origin")
    shutil.copy(evidence.state(one) / "log.vkey", state / "log.vkey")

    assert audit("verify", str(state), "--members", str(evidence.members), "--no-state")[0] == 1


def test_a_log_under_a_swapped_key_is_noticed_by_the_pinned_keys_alone(evidence: Evidence, tmp_path: Path) -> None:
    bank = evidence.banks[0]
    state = Path(shutil.copytree(evidence.state(bank), tmp_path / "state"))
    (state / "log.key").write_text(random.Random(2).randbytes(32).hex() + "\n", "ascii")
    resign(state, lambda events: None)

    assert audit("verify", str(state), "--members", str(evidence.members), "--no-state")[0] == 1
