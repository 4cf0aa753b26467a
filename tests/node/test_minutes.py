"""What nodes write down of their rounds: the same commitments at all, and what each gave, also through losses."""

import asyncio
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from node.minutes import Minutes, MinutesLog
from privacy.errors import InputError
from privacy.log.kinds import KINDS, fault_of
from privacy.log.record import Entry
from privacy.log.rounds import RoundLists, decode_round, members_of
from privacy.outgoing import Outgoing
from tests.network import Network, Node
from tests.virtual_time import run_virtual


def played(tmp_path: Path, count: int = 5, scenario: Any = None) -> Network:
    """Run one job to its end, and return its network."""
    network = Network.of(tmp_path, count)

    async def test() -> None:
        network.start()
        if scenario:
            scenario(network)
        state, reason, _ = await network.run()
        assert (state, reason) == ("done", "")

    run_virtual(test())
    return network


def lines(node: Node, job: str = "job-1") -> list[RoundLists]:
    return [decode_round(line) for line in (node.state / "rounds" / f"{job}.jsonl").read_bytes().splitlines(True)]


def events(node: Node, kind: str) -> list[Entry]:
    return [entry for entry in node.entries if entry.kind == kind]


def given(network: Network) -> dict[tuple[int, int, str], dict[str, set[str]]]:
    """Return who gave a share of, and who gave a pair seed with, each member in each position, from the records."""
    found: dict[tuple[int, int, str], dict[str, set[str]]] = defaultdict(lambda: {"shares": set(), "seeds": set()})
    for name, node in network.nodes.items():
        for outgoing in node.log:
            record: Any = outgoing.record
            for what in ("shares", "seeds"):
                for member in members_of(record.get(what, "0" * len(network.names)), network.names):
                    found[record["epoch"], record["position"], member][what].add(name)
    return found


def lose_in_round(member: str, number: int) -> Any:
    """Let a member die as it would send its upload of a round."""

    def scenario(network: Network) -> None:
        node = network.nodes[member]

        def before_send(outgoing: Outgoing) -> bool:
            if (outgoing.kind, outgoing.round) == ("secagg.upload", number):
                node.die()
                return False
            return True

        node.before_send = before_send

    return scenario


def test_every_node_writes_every_sum_down_with_the_same_commitments(tmp_path: Path) -> None:
    network = played(tmp_path)
    assert network.heard_by is not None
    opened = network.heard_by.aggregator.opened
    for node in network.nodes.values():
        written = lines(node)
        assert [each.round for each in written] == list(range(1, len(opened) + 1))
        assert [each.body() for each in written] == [dict(entry.body) for entry in events(node, "secagg.round")]
        assert [each.aggregate_sha256 for each in written] == [past.opened.sum_sha256.hex() for past in opened]
        assert all(fault_of(each.body(), KINDS["secagg.round"]) is None for each in written)
    pledged = {tuple(each.commitments_sha256() for each in lines(node)) for node in network.nodes.values()}
    assert len(pledged) == 1
    assert (tmp_path / "bank-000" / "rounds" / "job-1.jsonl").stat().st_mode & 0o777 == 0o600


def test_each_part_that_was_computed_has_its_event(tmp_path: Path) -> None:
    network = played(tmp_path)
    for node in network.nodes.values():
        uploads = [outgoing for outgoing in node.log if outgoing.kind == "secagg.upload"]
        trained = events(node, "train.round")
        assert [entry.round for entry in trained] == [outgoing.round for outgoing in uploads]
        assert all(fault_of(entry.body, KINDS["train.round"]) is None for entry in trained)
        # What a part follows from differs in every round, and is the same at every bank.
        assert len({entry.body["model_in_sha256"] for entry in trained}) == len(trained)
    models = {tuple(str(entry.body["model_in_sha256"]) for entry in events(node, "train.round"))
              for node in network.nodes.values()}  # fmt: skip
    assert len(models) == 1


def test_what_a_node_gave_stands_in_the_record_of_the_message_and_in_its_minutes(tmp_path: Path) -> None:
    network = played(tmp_path, scenario=lose_in_round("bank-002", 1))
    survivors = tuple(name for name in network.names if name != "bank-002")
    for name in survivors:
        first = lines(network.nodes[name])[0]
        assert (first.survivors, first.shares, first.seeds) == (survivors, survivors, ("bank-002",))
        kinds = [outgoing.kind for outgoing in network.nodes[name].log if "shares" in outgoing.record]
        assert kinds[:2] == ["secagg.consent", "secagg.reveal"]
        event = events(network.nodes[name], "secagg.round")[0]
        assert (event.body["cohort"], event.body["dropouts"]) == ("11111", "00100")


@pytest.mark.parametrize("number", [1, 3])
def test_nobody_s_self_seed_and_pair_seed_are_given_in_one_position(tmp_path: Path, number: int) -> None:
    network = played(tmp_path, 6, scenario=lose_in_round("bank-002", number))
    found = given(network)
    assert any(place["seeds"] for place in found.values()) == (number == 1)
    for place in found.values():
        assert not place["shares"] & place["seeds"]
        assert len(place["shares"]) < 5 or not place["seeds"]


def test_a_node_that_comes_back_writes_down_what_it_missed_and_nothing_twice(tmp_path: Path) -> None:
    network = Network.of(tmp_path, 5)
    node = network.nodes["bank-002"]

    def before_send(outgoing: Outgoing) -> bool:
        if (outgoing.kind, outgoing.round) == ("secagg.upload", 4) and node.boots == 1:
            # What was deferred and not yet committed is lost with the process, and so is the newest line.
            del node.entries[-2:]
            path = node.state / "rounds" / "job-1.jsonl"
            path.write_bytes(path.read_bytes()[:-10])
            node.die()
            asyncio.get_running_loop().call_later(1.0, node.start)
            return False
        return True

    async def test() -> None:
        network.start()
        node.before_send = before_send
        assert (await network.run())[0] == "done"

    run_virtual(test())
    whole = lines(network.nodes["bank-000"])
    assert [each.round for each in lines(node)] == [each.round for each in whole]
    assert [entry.round for entry in events(node, "secagg.round")] == [each.round for each in whole]
    assert [each.commitments_sha256() for each in lines(node)] == [each.commitments_sha256() for each in whole]
    # It gave its shares of the first rounds in an earlier process; its log still says so.
    assert lines(node)[0].shares == tuple(network.names)
    for entry, line in zip(events(node, "secagg.round"), lines(node), strict=True):
        assert dict(entry.body) == line.body()


def test_a_disk_that_takes_no_line_stops_the_round(tmp_path: Path) -> None:
    network = Network.of(tmp_path, 5)
    (tmp_path / "file").write_text("x")
    minutes = Minutes(tmp_path / "file", "dataset-1", MinutesLog(lambda _entries: None, lambda _kind, _job: []))
    with pytest.raises(InputError) as caught:
        minutes.begin(network.manifest())
    assert caught.value.code == "rounds-unusable"
    assert "\n" not in caught.value.message


def test_no_line_holds_a_share_or_a_seed(tmp_path: Path) -> None:
    network = played(tmp_path, scenario=lose_in_round("bank-002", 1))
    from privacy.wire import decode_packet, decode_payload, decode_signed

    for node in network.nodes.values():
        text = b"".join(path.read_bytes() for path in (node.state / "rounds").glob("*"))
        text += json.dumps([dict(outgoing.record) for outgoing in node.log]).encode()
        for outgoing in node.log:
            signed = decode_signed(decode_packet(outgoing.message).signed)
            message: Any = decode_payload(signed.kind, signed.payload)
            for secret in (*getattr(message, "shares", ()), *getattr(message, "seeds", ())):
                assert secret.value.hex().encode() not in text
