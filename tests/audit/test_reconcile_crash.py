"""A node that was killed is not called a liar for a signature whose record went with it, and for nothing else."""

import pytest

from audit.halves import coordinator_halves, node_half
from audit.reconcile import CLOCK_US, compare
from privacy.log.record import Entry
from tests.privacy.logs import MemoryLog, egress, ingress

HEAD = {"size": 0, "root": "00" * 32}
SIGNATURE = "job-1/1/2/sum-signature/bank-a>coordinator"
UPLOAD = "job-1/1/2/upload/bank-a>coordinator"


def opened(unclean: bool) -> Entry:
    body = {"software": "x", "config_sha256": "00" * 32, "prev": HEAD, "unclean": unclean, "gap_s": 0}
    return Entry("log.opened", body)


def findings(name: str, after_us: int | None, unclean: bool = False) -> list[tuple[str, str]]:
    """Return what is found of an arrival that the node did not record.

    after_us: how long after the arrival the node's log goes on, None if it ends before. unclean: whether it goes on
    with a start after a crash.
    """
    node, peer = MemoryLog(), MemoryLog("coordinator/privacy-log", seed=7)
    node.append(egress(1))
    peer.append(ingress(1), ingress(2, msg_id=name))
    if after_us is not None:
        node.clock.pass_us(after_us)
        node.append(opened(unclean))
    found = compare(node_half(node.events(), None), coordinator_halves(peer.events(), {"bank-a": None})["bank-a"])
    return [(finding.severity, finding.code) for finding in found.findings]


@pytest.mark.parametrize(
    ("name", "after_us", "unclean", "expected"),
    [
        (SIGNATURE, None, False, ("medium", "lost")),
        (SIGNATURE, 10 * CLOCK_US, True, ("medium", "lost")),
        (SIGNATURE, 10 * CLOCK_US, False, ("critical", "one-sided")),
        (UPLOAD, None, False, ("critical", "one-sided")),
        (UPLOAD, 10 * CLOCK_US, True, ("critical", "one-sided")),
    ],
)
def test_only_a_deferred_record_can_be_lost(
    name: str, after_us: int | None, unclean: bool, expected: tuple[str, str]
) -> None:
    assert findings(name, after_us, unclean) == [expected]
