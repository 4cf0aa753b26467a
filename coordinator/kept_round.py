"""Write an opened sum, with all that makes it believed, as bytes; read it back strictly.

It checks no signature (`privacy.secagg.retrace` does). Theory: one line of JSON names the sum and the lengths of what
follows it; a record that is cut short or longer than it says is damaged.
"""

import json
from itertools import accumulate, pairwise
from typing import Any

from privacy.errors import VerificationError
from privacy.messages import Opened
from privacy.secagg.downlink import OpenedRound

__all__ = ["decode_round", "encode_round"]

_LISTS = ("agreements", "headers", "signatures")


def encode_round(past: OpenedRound) -> bytes:
    """Return an opened sum as bytes."""
    opened = past.opened
    head = {
        "epoch": opened.epoch,
        "position": opened.position,
        "round": opened.round,
        "survivors": list(opened.survivors),
        "headers_sha256": opened.headers_sha256.hex(),
        "sum_sha256": opened.sum_sha256.hex(),
        "root": past.root.hex(),
        "vector": len(past.vector),
        **{name: [len(each) for each in getattr(past, name)] for name in _LISTS},
    }
    line = json.dumps(head, sort_keys=True, separators=(",", ":")).encode("ascii")
    return b"".join([line, b"\n", *past.agreements, *past.headers, *past.signatures, past.vector])


def decode_round(content: bytes) -> OpenedRound:
    """Return the opened sum in these bytes; raises `VerificationError` if they are not what was written."""
    line, found, rest = content.partition(b"\n")
    try:
        head: dict[str, Any] = json.loads(line)
        opened = Opened(
            head["epoch"], head["position"], head["round"], tuple(head["survivors"]),
            bytes.fromhex(head["headers_sha256"]), bytes.fromhex(head["sum_sha256"]),
        )  # fmt: skip
        lengths = [int(length) for name in _LISTS for length in head[name]] + [int(head["vector"])]
        root = bytes.fromhex(head["root"])
        counts = [len(head[name]) for name in _LISTS]
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged() from error
    if not found or min(lengths) < 0 or sum(lengths) != len(rest):
        raise _damaged()
    parts = [rest[start:stop] for start, stop in pairwise(accumulate(lengths, initial=0))]
    first, second, third = accumulate(counts)
    return OpenedRound(
        opened, root, tuple(parts[:first]), tuple(parts[first:second]), tuple(parts[second:third]), parts[-1]
    )


def _damaged() -> VerificationError:
    return VerificationError("kept-round-damaged", "a sum that was kept for this job is damaged")
