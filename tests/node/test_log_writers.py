"""Several writers at one log, a process killed with entries that wait, and what a neighbour's hash gives away."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from node.record_store import RecordStore
from privacy.errors import InputError
from privacy.log.tree import leaf_hash
from tests.node.test_record_store import opened
from tests.privacy.logs import egress

ROOT = Path(__file__).resolve().parents[2]
BEGIN = """
import json, sys, threading
from pathlib import Path
from privacy.errors import InputError
from tests.node.test_record_store import opened
from tests.privacy.logs import egress
folder, place = Path(sys.argv[1]), int(sys.argv[2])
"""
FOUR = """
refused, store = 0, None
print("ready", flush=True)
sys.stdin.readline()
while store is None:
    try:
        store = opened(folder)
    except InputError as error:
        assert error.code == "log-in-use", error.code
        refused += 1
        if refused == 1:
            print("refused", flush=True)
if not refused:
    print("holds", flush=True)
    sys.stdin.readline()
found = []
def write(start):
    for number in range(start, start + 5):
        found.append((number, store.append([egress(number)])[0]))
threads = [threading.Thread(target=write, args=(1000 * place + 100 * each,)) for each in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
store.close()
print(json.dumps({"refused": refused, "found": found}))
"""
WAITING = """
store = opened(folder)
for number in range(5):
    store.defer([egress(100 + number)])
    store.append([egress(number)])
store.defer([egress(200 + number) for number in range(3)])
print("waiting", flush=True)
sys.stdin.readline()
"""


def started(code: str, folder: Path, place: int = 0) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "proto")])}
    return subprocess.Popen(
        [sys.executable, "-c", BEGIN + code, str(folder), str(place)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT,
    )  # fmt: skip


def line_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.slow
def test_of_four_processes_one_writes_and_the_others_are_refused_until_it_ends(tmp_path: Path) -> None:
    opened(tmp_path).close()
    processes = [started(FOUR, tmp_path, place) for place in range(4)]
    try:
        assert [line_of(process) for process in processes] == ["ready"] * 4
        for process in processes:
            assert process.stdin is not None
            print(file=process.stdin, flush=True)
        said = [line_of(process) for process in processes]
        assert sorted(said) == ["holds", "refused", "refused", "refused"]
        first = said.index("holds")
        order = [processes[first], *processes[:first], *processes[first + 1 :]]
        ended = [json.loads(process.communicate(go)[0]) for process, go in zip(order, ["\n"] + [None] * 3, strict=True)]
    finally:
        for process in processes:
            process.kill()
            process.wait()

    written = {number: index for each in ended for number, index in each["found"]}
    store = opened(tmp_path)
    events = store.events(0, 1 << 20)
    store.close()
    assert sum(each["refused"] > 0 for each in ended) == 3
    assert len(written) == len(set(written.values())) == 80
    assert [event.seq for event in events] == list(range(len(events)))
    assert {events[index].round for index in written.values()} == set(written)
    assert all(events[index].round == number for number, index in written.items())
    # Each opening wrote one record: ours twice, and theirs.
    assert len(events) == 80 + 6 and not any(event.body.get("unclean") for event in events)


@pytest.mark.slow
def test_a_kill_loses_only_what_was_deferred_since_the_last_commit_and_the_next_start_says_so(tmp_path: Path) -> None:
    process = started(WAITING, tmp_path)
    try:
        assert line_of(process) == "waiting"
    finally:
        process.kill()
        process.communicate()

    store = opened(tmp_path)
    first, *events, last = store.events(0, 99)
    store.close()
    assert (first.kind, last.kind) == ("log.opened", "log.opened")
    assert [event.round for event in events] == [100, 0, 101, 1, 102, 2, 103, 3, 104, 4]
    assert first.body["unclean"] is False and last.body["unclean"] is True


def test_a_second_store_is_refused_while_the_first_is_open(tmp_path: Path) -> None:
    store = opened(tmp_path)
    for _ in range(2):
        with pytest.raises(InputError) as caught:
            opened(tmp_path)
        assert caught.value.code == "log-in-use"
    store.append([egress(1)])
    store.close()
    opened(tmp_path).close()


def test_a_neighbour_s_hash_in_a_proof_confirms_no_guess_without_the_salt(tmp_path: Path) -> None:
    """Whoever holds a proof of record 2 sees the leaf hash of record 3, and knows all of it but the salt."""
    store = opened(tmp_path)
    store.append([egress(1), egress(2), egress(3)])
    hidden = store.events(3, 4)[0]
    (sibling, *_), salts = store.inclusion(2, 4), _salts(store)
    assert sibling == leaf_hash(hidden.encoded)
    salt = json.loads(hidden.encoded)["salt"]
    guesses = [hidden.encoded.replace(salt.encode(), os.urandom(16).hex().encode()) for _ in range(1000)]
    guesses += [hidden.encoded.replace(salt.encode(), each.encode()) for each in salts if each != salt]
    assert sibling not in {leaf_hash(guess) for guess in guesses}
    assert {len(guess) for guess in guesses} == {len(hidden.encoded)}
    assert len(set(salts)) == 4 and {len(bytes.fromhex(each)) for each in salts} == {16}
    store.close()


def _salts(store: RecordStore) -> list[str]:
    return [str(json.loads(event.encoded)["salt"]) for event in store.events(0, 99)]
