"""One sum at the coordinator: it opens only with everything that takes the masks off, and holds one total."""

import numpy as np
import pytest

from privacy import messages as say
from privacy.envelope import open_envelope
from privacy.errors import MisuseError, PeerError
from privacy.roster import Roster
from privacy.secagg.spool import MemorySpool
from privacy.secagg.sum import MaskedSum
from tests.privacy.secagg.scenes import plan_of, said, uploaded, voted
from tests.privacy.table import Bench, names_of, refused

NAMES = names_of(7)
PLAN = plan_of(NAMES)


def current(table: Bench) -> MaskedSum:
    total = table.coordinator.sum
    assert total is not None
    return total


def test_a_sum_does_not_open_early() -> None:
    table, _parts = uploaded(NAMES)
    downlinks = list(table.coordinator.close())
    with refused("sum-not-ready", MisuseError):
        current(table).open()
    table.down(downlinks[:4])  # t - 1 consents
    assert len(current(table).shared) == 4
    with refused("sum-not-ready", MisuseError):
        current(table).open()


def test_a_sum_with_a_loss_needs_every_survivor_s_seed() -> None:
    table, parts = uploaded(NAMES, alive=NAMES[:6])
    table.down(table.coordinator.close())
    certificates = list(table.coordinator.certify())
    table.down(certificates[:5])
    total = current(table)
    assert len(total.shared) == 5 and total.lost == (NAMES[6],)
    with refused("sum-not-ready", MisuseError):
        total.open()
    assert table.coordinator.pending() == {NAMES[5]} and not table.coordinator.settled
    table.down(certificates[5:])
    assert (PLAN.decode(total.open()) == sum(parts[name] for name in NAMES[:6])).all()


def test_shares_beyond_t_are_not_needed() -> None:
    table, _parts = uploaded(NAMES)
    votes = voted(table, list(table.coordinator.close()))
    total = current(table)
    for name in NAMES:
        total.take_shares(name, said(votes[name], say.Consent).shares)
    assert total.shared == frozenset(NAMES[:5])


def test_boxes_go_to_their_receiver_in_the_cohort_s_order() -> None:
    table, _parts = uploaded(NAMES, alive=NAMES[1:])
    table.coordinator.close()
    total = current(table)
    boxes = total.boxes_for(NAMES[2])
    assert len(boxes) == 6 and boxes[1] == b""
    assert boxes[0] == total.boxes[NAMES[1]][2] and boxes[5] == total.boxes[NAMES[6]][2]


def test_a_part_is_the_one_its_header_names() -> None:
    table, _parts = uploaded(NAMES)
    total = current(table)
    honest = bytes(total.part(NAMES[1]))
    total.spool.put(NAMES[1], bytes(len(honest)))
    with refused("upload-vector", PeerError):
        total.part(NAMES[1])


def test_it_holds_one_vector_and_adds_as_they_come() -> None:
    table, _parts = uploaded(NAMES)
    total = current(table)
    vectors = [np.frombuffer(total.spool.get(name), "<u8") for name in NAMES]
    added = np.zeros(PLAN.length, np.uint64)
    for vector in vectors:
        added += vector
    assert (total._total == added).all()


@pytest.mark.parametrize("count", [0, 4])
def test_a_cohort_has_u_min_members(count: int) -> None:
    total = MaskedSum(Roster(tuple(NAMES)), PLAN, bytes(32), MemorySpool())
    table, _parts = uploaded(NAMES)
    envelopes = [open_envelope(raw, table.manifest.identity_of) for raw in current(table).raw_headers.values()]
    for envelope in envelopes[:count]:
        assert isinstance(envelope.message, say.Header)
        total.headers[envelope.sender] = envelope.message
    with refused("cohort-too-small", PeerError):
        total.close()
    assert total.survivors == ()
