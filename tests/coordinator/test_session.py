"""Jobs under loss, on virtual time: each ends in a final state, every sum that opens is right, nothing hangs."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from privacy.outgoing import Outgoing
from tests.network import Network, Node
from tests.virtual_time import Stuck, run_virtual

LOST_S, REJOIN_S, DEADLINE_S = 5, 2, 60  # of the manifest that `Network.manifest` makes
MOMENT_S = 0.6  # two ticks of the session


def play(network: Network, script: Callable[[], None] = lambda: None, **changes: Any) -> tuple[str, str]:
    """Start everybody, run one job and check every sum that opened; return its final state and reason."""

    async def test() -> tuple[str, str, Any]:
        network.start()
        script()
        return await network.run(network.manifest(**changes))

    state, reason, outcome = run_virtual(test())
    network.check_sums()
    assert (state == "done") == (outcome is not None)
    assert (state == "failed") == bool(reason)
    return state, reason


def at(node: Node, kind: str, number: int, act: Callable[[], object], *, send: bool = False) -> None:
    """Let something happen at a member when it is about to send (or, with `send`, has sent) a message of a round."""

    def before(outgoing: Outgoing) -> bool:
        if outgoing.kind != f"secagg.{kind}" or (outgoing.round or 0) != number:
            return True
        node.before_send = lambda _outgoing: True
        if send:
            asyncio.get_running_loop().call_soon(asyncio.get_running_loop().call_soon, act)
        else:
            act()
        return send

    node.before_send = before


def one_dies(network: Network, kind: str, number: int) -> None:
    """Let whichever member is the first to send such a message die before it does."""

    def die(lost: Node) -> None:
        for node in network.nodes.values():
            node.before_send = lambda _outgoing: True
        lost.die()

    for node in network.nodes.values():
        at(node, kind, number, partial(die, node))


def later(seconds: float, act: Callable[[], object]) -> None:
    asyncio.get_running_loop().call_later(seconds, act)


def away(leave: Callable[[], None], seconds: float, back: Callable[[], None]) -> None:
    leave()
    later(seconds, back)


def ends(network: Network) -> dict[str, str]:
    """Return how the job ended at each member that wrote a result."""
    return {name: node.written[-1][1] for name, node in network.nodes.items() if node.written}


def survivors(network: Network) -> list[int]:
    assert network.heard_by is not None
    return [len(past.opened.survivors) for past in network.heard_by.aggregator.opened]


def test_everyone_answers(tmp_path: Path) -> None:
    network = Network.of(tmp_path, 5)

    assert play(network) == ("done", "")

    assert set(survivors(network)) == {5}
    assert ends(network) == dict.fromkeys(network.names, "done")
    assert (network.refusals, network.kinds()) == ([], [])
    numbers = [note.number for note in network.notes if note.state == "opened"]
    assert numbers == list(range(1, len(numbers) + 1))
    assert network.heard_by is not None
    tally = network.heard_by.tally
    assert (tally.dropouts, tally.smallest_cohort, set(tally.upload_bytes)) == (0, 5, set(network.names))


@pytest.mark.parametrize("how", ["die", "freeze"])
def test_a_loss_before_the_first_upload_shrinks_the_cohort(tmp_path: Path, how: str) -> None:
    network = Network.of(tmp_path, 5, allow_exclusion=0)
    lost = network.nodes["bank-002"]

    assert play(network, lambda: at(lost, "upload", 1, getattr(lost, how))) == ("done", "")

    assert set(survivors(network)) == {4}
    assert network.heard_by is not None
    assert network.heard_by.aggregator.epoch == 2
    assert network.heard_by.tally.dropouts == 1
    assert LOST_S <= network.ended_s <= LOST_S + MOMENT_S
    assert "members-excluded" not in network.kinds()
    assert [ends(network)[name] for name in network.names if name != "bank-002"] == ["done"] * 4


def test_a_loss_after_the_first_upload_keeps_its_part_and_the_job_goes_on_without_it(tmp_path: Path) -> None:
    network = Network.of(tmp_path, 5)
    lost = network.nodes["bank-002"]

    assert play(network, lambda: at(lost, "upload", 1, lost.die, send=True)) == ("done", "")

    assert survivors(network)[0] == 5
    assert set(survivors(network)[1:]) == {4}
    assert network.kinds() == ["job-paused", "members-excluded", "job-resumed"]
    assert network.ended_s <= LOST_S + REJOIN_S + MOMENT_S


@pytest.mark.parametrize("kind", ["consent", "sum-signature"])
def test_a_loss_before_the_consent_or_the_verification_of_a_later_round(tmp_path: Path, kind: str) -> None:
    network = Network.of(tmp_path, 5)

    assert play(network, lambda: one_dies(network, kind, 4)) == ("done", "")

    assert survivors(network)[:4] == [5, 5, 5, 5]
    assert set(survivors(network)[4:]) == {4}
    assert network.ended_s <= 2 * LOST_S + REJOIN_S + MOMENT_S


def test_a_loss_in_a_later_round_pauses_the_job_and_excludes(tmp_path: Path) -> None:
    network = Network.of(tmp_path, 5)
    lost = network.nodes["bank-002"]

    assert play(network, lambda: at(lost, "upload", 3, lost.die)) == ("done", "")

    assert survivors(network)[:2] == [5, 5]
    assert set(survivors(network)[2:]) == {4}
    assert network.kinds() == ["job-paused", "members-excluded", "job-resumed"]
    assert [network.nodes[name].usage.excluded for name in network.names if name != "bank-002"] == [[["bank-002"]]] * 4


def test_a_frozen_member_that_comes_back_in_time_stays(tmp_path: Path) -> None:
    network = Network.of(tmp_path, 5, allow_exclusion=0)
    slow = network.nodes["bank-002"]

    def script() -> None:
        at(slow, "upload", 3, lambda: away(slow.freeze, LOST_S + 20, slow.thaw), send=True)

    assert play(network, script, rejoin_s=60) == ("done", "")

    assert set(survivors(network)) == {5}
    assert network.kinds() == ["job-paused", "job-resumed"]
    assert ends(network) == dict.fromkeys(network.names, "done")
    assert network.ended_s <= LOST_S + 20 + 1 + MOMENT_S


@pytest.mark.parametrize(("kind", "number"), [("upload", 1), ("consent", 1), ("upload", 3), ("consent", 3)])
def test_a_member_that_restarts_in_time_catches_up(tmp_path: Path, kind: str, number: int) -> None:
    network = Network.of(tmp_path, 5, allow_exclusion=0, exact_jobs=1)
    node = network.nodes["bank-002"]

    def script() -> None:
        at(node, kind, number, lambda: away(node.die, 3, node.start))

    assert play(network, script, rejoin_s=60) == ("done", "")

    assert network.heard_by is not None
    if (kind, number) == ("upload", 1):
        # The first round may lose somebody, so nobody waits for a process that has forgotten its keys.
        assert set(survivors(network)) == {4}
        return
    assert set(survivors(network)) == {5}
    assert network.heard_by.aggregator.epoch == 2
    assert ends(network) == dict.fromkeys(network.names, "done")
    assert network.ended_s <= 3 + MOMENT_S


def test_every_member_restarts_at_once(tmp_path: Path) -> None:
    network = Network.of(tmp_path, 5, allow_exclusion=0)

    def script() -> None:
        def restart() -> None:
            for node in network.nodes.values():
                node.die()
                later(1, node.start)

        at(network.nodes["bank-002"], "upload", 5, restart)

    assert play(network, script, rejoin_s=60) == ("done", "")
    assert set(survivors(network)) == {5}
    assert ends(network) == dict.fromkeys(network.names, "done")


@pytest.mark.parametrize("kind", ["setup", "agree", "upload", "consent", "sum-signature"])
@pytest.mark.parametrize("number", [1, 3])
def test_in_a_room_of_four_any_loss_ends_the_job(tmp_path: Path, kind: str, number: int) -> None:
    network = Network.of(tmp_path, 4)

    state, reason = play(network, lambda: one_dies(network, kind, 0 if kind in ("setup", "agree") else number))

    (lost,) = [name for name, node in network.nodes.items() if not node.alive]
    assert (state, f"member lost: {lost}; 3 members are left" in reason) == ("failed", True)
    assert network.ended_s <= 2 * LOST_S + REJOIN_S + MOMENT_S
    assert {how for name, how in ends(network).items() if name != lost} == {"failed"}


def test_two_losses_in_five_end_the_job(tmp_path: Path) -> None:
    network = Network.of(tmp_path, 5)
    first, second = network.nodes["bank-001"], network.nodes["bank-002"]

    def both_die() -> None:
        first.die()
        second.die()

    state, reason = play(network, lambda: at(first, "upload", 2, both_die))

    assert (state, "member lost: bank-001, bank-002; 3 members are left" in reason) == ("failed", True)
    assert network.ended_s <= LOST_S + REJOIN_S + MOMENT_S


def test_one_loss_before_and_one_after_the_first_upload_burns_the_round(tmp_path: Path) -> None:
    network = Network.of(tmp_path, 7)
    early, late = network.nodes["bank-001"], network.nodes["bank-002"]

    def script() -> None:
        at(early, "upload", 1, early.die)
        at(late, "reveal", 1, late.die)

    assert play(network, script) == ("done", "")

    # The cohort of six was voted for; without its seventh part the round opens for five, who exclude the late one.
    assert set(survivors(network)) == {5}
    assert network.kinds() == ["job-paused", "members-excluded", "job-resumed"]
    assert network.nodes["bank-003"].usage.excluded == [["bank-002"]]
    # Nobody waits for the one that the cohort already lacks.
    assert network.events[0][2]["lost"] == ["bank-002"]


def test_permits_that_forbid_an_exclusion_end_the_job(tmp_path: Path) -> None:
    network = Network.of(tmp_path, 6, allow_exclusion=0)
    lost = network.nodes["bank-002"]

    state, reason = play(network, lambda: at(lost, "upload", 3, lost.die))

    assert (state, reason.startswith("member lost: bank-002; ")) == ("failed", True)
    assert "bank-003 stopped: permit-exclusion" in reason
    assert network.ended_s <= LOST_S + REJOIN_S + MOMENT_S
    assert {how for name, how in ends(network).items() if name != "bank-002"} == {"refused"}


def test_a_member_that_answers_nonsense_is_banned(tmp_path: Path) -> None:
    network = Network.of(tmp_path, 5)
    liar = network.nodes["bank-002"]

    def nonsense(outgoing: Outgoing) -> bool:
        if (outgoing.kind, outgoing.round) == ("secagg.upload", 3):
            # The true upload twice: the second one is refused.
            asyncio.get_running_loop().call_soon(network.arrive, liar, outgoing.message)
        return True

    liar.before_send = nonsense
    assert play(network) == ("done", "")

    assert network.refusals == [("bank-002", "upload-late")]
    assert ends(network) == {**dict.fromkeys(network.names, "done"), "bank-002": "failed"}
    assert set(survivors(network)[3:]) == {4}
    assert network.ended_s <= MOMENT_S


def test_a_member_that_is_alive_and_silent_is_left_at_the_deadline(tmp_path: Path) -> None:
    network = Network.of(tmp_path, 5)
    mute = network.nodes["bank-002"]
    mute.before_send = lambda outgoing: (outgoing.round or 0) < 3

    assert play(network) == ("done", "")

    assert set(survivors(network)[2:]) == {4}
    assert DEADLINE_S <= network.ended_s <= DEADLINE_S + MOMENT_S


def test_a_member_that_is_always_lost_cannot_keep_a_job_for_ever(tmp_path: Path) -> None:
    network = Network.of(tmp_path, 5)
    restless = network.nodes["bank-002"]

    def restart(outgoing: Outgoing) -> bool:
        if outgoing.kind == "secagg.upload":
            restless.die()
            later(0.5, restless.start)
        return outgoing.kind != "secagg.upload"

    # Round 1 would go on without it: it starts to be restless after that.
    restless.before_send = lambda outgoing: (outgoing.round or 0) < 2 or restart(outgoing)

    state, reason = play(network, rejoin_s=3600)

    assert (state, reason) == ("failed", "members were lost 50 times in one job")
    assert network.heard_by is not None
    assert network.heard_by.aggregator.epoch == 51


def test_a_line_that_breaks_while_another_member_is_lost_is_no_loss(tmp_path: Path) -> None:
    network = Network.of(tmp_path, 5)
    lost, shaky = network.nodes["bank-001"], network.nodes["bank-002"]

    def script() -> None:
        at(lost, "upload", 3, lost.die)
        # Its stream is down in the very moment in which the job decides to go on without the lost one.
        later(LOST_S + REJOIN_S - 0.5, lambda: network.presence.leave("bank-002"))
        later(LOST_S + REJOIN_S + 0.5, lambda: network.presence.join("bank-002", b"", False))

    assert play(network, script) == ("done", "")
    assert shaky.alive
    assert set(survivors(network)[2:]) == {4}
    assert ends(network)["bank-002"] == "done"


def test_a_session_that_was_dropped_is_a_loss_although_the_process_lives(tmp_path: Path) -> None:
    network = Network.of(tmp_path, 5, allow_exclusion=0)
    node = network.nodes["bank-002"]

    async def drop() -> None:
        await node.session.stand_by("the session is gone")
        network.presence.join("bank-002", b"bank-002-1", True)
        network.changed()

    def script() -> None:
        at(node, "upload", 3, lambda: background(drop))

    assert play(network, script, rejoin_s=60) == ("done", "")
    assert set(survivors(network)) == {5}
    assert ends(network) == dict.fromkeys(network.names, "done")
    assert network.ended_s <= MOMENT_S


_TASKS: set["asyncio.Task[None]"] = set()


def background(act: Callable[[], Awaitable[None]]) -> None:
    task: asyncio.Task[None] = asyncio.get_running_loop().create_task(act())  # type: ignore[arg-type]
    _TASKS.add(task)
    task.add_done_callback(_TASKS.discard)


@pytest.mark.parametrize("how", ["never", "late"])
def test_a_member_that_lives_and_does_not_read_holds_nobody_up_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr("coordinator.session._WINDOW_BYTES", 1000)
    network = Network.of(tmp_path, 5)

    def script() -> None:
        network.backlogs["bank-002"] = 10**6
        if how == "late":
            later(DEADLINE_S - 1, lambda: network.backlogs.update({"bank-002": 0}))

    assert play(network, script) == ("done", "")

    assert (set(survivors(network)[1:]) == {4}) is (how == "never")
    assert network.ended_s <= DEADLINE_S + MOMENT_S


@pytest.mark.parametrize("turns", range(6))
def test_a_cancellation_is_not_lost_when_something_happens_in_the_same_moment(tmp_path: Path, turns: int) -> None:
    network = Network.of(tmp_path, 4)

    async def test() -> None:
        job = asyncio.create_task(network.run())  # nobody is there, so it waits
        await asyncio.sleep(1.1)
        network.changed()
        for _ in range(turns):
            await asyncio.sleep(0)
        job.cancel()
        await asyncio.wait([job])
        assert job.cancelled()

    run_virtual(test())


def test_what_can_never_end_is_found_here() -> None:
    with pytest.raises(Stuck):
        run_virtual(asyncio.Event().wait())
