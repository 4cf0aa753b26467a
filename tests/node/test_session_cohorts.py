"""A bank over several jobs: whose leaving and whose coming it counts, and where it refuses."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.network import Network
from tests.virtual_time import run_virtual


def _replay(network: Network) -> Any:
    from privacy.secagg.replay import Replay
    from risk.charter import spec_of
    from risk.job import rounds

    manifest = network.manifest()
    return Replay(rounds(spec_of(manifest, network.rows[0])), len(manifest.seats))


def test_exclusions_count_once_over_all_jobs(tmp_path: Path) -> None:
    network = Network.of(tmp_path, 6)
    lost = network.nodes["bank-002"]
    others = [name for name in network.names if name != "bank-002"]

    async def test() -> None:
        network.start()
        assert (await network.run())[0] == "done"
        lost.die()
        # A later job whose roster lacks an earlier member is an exclusion, and the only one that is allowed.
        assert (await network.run(network.manifest("job-2", others)))[0] == "done"
        assert [network.nodes[name].usage.excluded for name in others] == [[["bank-002"]]] * 5
        assert (await network.run(network.manifest("job-3", others)))[0] == "done"

        state, reason, _ = await network.run(network.manifest("job-4", others[:-1]))
        assert (state, "permit-exclusion" in reason) == ("failed", True)

    run_virtual(test())
    assert [network.nodes[name].usage.excluded for name in others] == [[["bank-002"]]] * 5


def members_after(tmp_path: Path, first: list[str], permit: int, *jobs: list[str]) -> tuple[Network, list[str]]:
    """Run a job over `first` and one over each of `jobs`; return the network and how each ended."""
    network = Network.of(tmp_path, 6, allow_exclusion=permit)
    ends: list[str] = []

    async def test() -> None:
        network.start()
        for number, members in enumerate([first, *jobs], 1):
            state, reason, _ = await network.run(network.manifest(f"job-{number}", members))
            ends.append("permit-exclusion" if "permit-exclusion" in reason else state)

    run_virtual(test())
    return network, ends


def test_a_member_that_joins_later_is_read_as_one_that_leaves_is_and_counts_the_same(tmp_path: Path) -> None:
    names = [f"bank-{place:03d}" for place in range(6)]
    network, ends = members_after(tmp_path, names[:5], 0, names, names[:5])

    # The sum with the sixth minus the sum without it is the sixth's part: those who were there before refuse.
    assert ends == ["done", "permit-exclusion", "done"]
    (refused,) = network.nodes["bank-000"].decisions
    assert refused[0] == "job-2" and "bank-005 left or came" in refused[1]
    assert network.nodes["bank-000"].usage.excluded == []
    assert not [outgoing for outgoing in network.nodes["bank-005"].log if outgoing.kind == "secagg.upload"]


def test_a_permit_pays_for_one_joiner_and_not_for_its_leaving_again(tmp_path: Path) -> None:
    names = [f"bank-{place:03d}" for place in range(6)]
    network, ends = members_after(tmp_path, names[:5], 1, names, names, names[:5])

    assert ends == ["done", "done", "done", "permit-exclusion"]
    assert network.nodes["bank-000"].usage.excluded == [["bank-005"]]


@pytest.mark.parametrize("permit", [0, 1])
def test_a_member_called_lost_in_the_first_round_of_a_second_job_counts(tmp_path: Path, permit: int) -> None:
    network = Network.of(tmp_path, 6, allow_exclusion=permit)
    target = network.nodes["bank-005"]

    async def test() -> str:
        network.start()
        assert (await network.run())[0] == "done"
        # The same job again: its first sum without the target, beside that of before, would be the target's part.
        target.before_send = lambda outgoing: outgoing.kind != "secagg.upload"
        session = network.open_job(network.manifest("job-2", round_deadline_s=5))
        running = asyncio.create_task(session.run(_replay(network)))
        await asyncio.wait([running])
        return str(running.exception() or "done")

    ended = run_virtual(test())
    others = [network.nodes[name] for name in network.names if name != "bank-005"]
    votes = [[out for out in node.log if (out.kind, out.job) == ("secagg.consent", "job-2")] for node in others]
    if permit:
        assert ended == "done" and all(votes)
        assert [node.usage.excluded for node in others] == [[["bank-005"]]] * 5
    else:
        assert "permit-exclusion" in ended and not any(votes)
        assert {node.alarms[-1] for node in others} == {("job-2", "permit-exclusion")}
