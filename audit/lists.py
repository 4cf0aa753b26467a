"""The lists beside a log, compared with the `secagg.round` records that hold their digests.

They are kept apart because no record may be that long; without this comparison a change in them would pass unseen
until somebody runs `secagg-check`. What the lists mean is not asked here.
"""

from collections.abc import Iterable

from privacy.errors import VerificationError
from privacy.log.record import decode_event
from privacy.log.rounds import RoundLists, decode_round
from privacy.log.verify import Step

__all__ = ["NAME", "check_lists"]

NAME = "lists beside the log"
_MARK = b'"kind":"secagg.round"'
Place = tuple[str, int, int]


def check_lists(number: int, events: Iterable[bytes], lines: Iterable[tuple[str, bytes]]) -> Step:
    """Return the step with this number.

    Args:
        number: the step's number.
        events: the log's events, each known to be well formed.
        lines: (name of the side file, line without newline).
    """
    lists: dict[Place, RoundLists] = {}
    for name, line in lines:
        try:
            found = decode_round(line)
        except VerificationError as error:
            return Step(number, NAME, "failed", f"{name}: {error.message}")
        if lists.setdefault((found.job, found.epoch, found.position), found) != found:
            return Step(number, NAME, "failed", f"{name}: two lists of one position differ")
    return _compared(number, events, lists)


def _compared(number: int, events: Iterable[bytes], lists: dict[Place, RoundLists]) -> Step:
    checked, missing, named = 0, 0, set()
    for encoded in events:
        if _MARK not in encoded:
            continue
        event = decode_event(encoded)
        place = (event.job, int(str(event.body.get("epoch", 1))), int(str(event.body["position"])))
        kept = lists.get(place)
        if kept is None:
            missing += 1
        elif kept.body() != event.body or kept.round != event.round:
            return Step(number, NAME, "failed", f"record {event.seq} names other lists than those beside the log")
        named.add(place)
        checked += 1
    if missing:
        return Step(number, NAME, "incomplete", f"the lists of {missing} of {checked} sums are missing")
    if set(lists) - named:
        return Step(number, NAME, "flagged", f"{len(set(lists) - named)} lists stand beside the log without a record")
    if not checked:
        return Step(number, NAME, "skipped", "the log speaks of no sums")
    return Step(number, NAME, "passed", f"{checked} checked")
