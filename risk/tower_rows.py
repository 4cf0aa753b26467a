"""A member's rows as the towers read them: bins, the scorecard's logit, targets.

It trains nothing. Theory: requests name the card and the inputs that a federation starts from; bins of the rows
follow from them and are kept from request to request.
"""

import json
from dataclasses import dataclass

import numpy as np

from risk.book import Book
from risk.card import Scorecard, card_from_document
from risk.recipe import Ask
from risk.tower_inputs import TowerInputs, inputs_from_document

__all__ = ["MemberRows", "asked_weights", "member_rows", "start_array"]


@dataclass(frozen=True, eq=False, slots=True)
class MemberRows:
    """Hold a member's rows of one federation: bins (n_rows, n_fields), start logit and target (n_rows,) float64."""

    inputs: TowerInputs
    codes: np.ndarray
    start: np.ndarray
    target: np.ndarray


def start_array(inputs: TowerInputs, card: Scorecard) -> np.ndarray:
    """Return what a federation's towers start from, canonical JSON as (n_bytes,) uint8, for a request's `start`."""
    document = {"card": card.to_document(), "inputs": inputs.to_document()}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return np.frombuffer(text.encode("ascii"), dtype=np.uint8)


def asked_weights(ask: Ask) -> dict[str, np.ndarray]:
    """Return a request's arrays of the network, by name."""
    prefix = "weights."
    return {name.removeprefix(prefix): array for name, array in ask.arrays.items() if name.startswith(prefix)}


def member_rows(ask: Ask, book: Book) -> MemberRows:
    """Return the member's rows that a request counts, under the start that it names."""
    raw = ask.arrays["start"].tobytes()

    def build() -> MemberRows:
        document = json.loads(raw)
        inputs = inputs_from_document(document["inputs"])
        card: Scorecard = card_from_document(book.spec.label, document["card"])
        table = book.table.select(book.rows(ask.rows))
        return MemberRows(inputs, inputs.codes(table), card.logit(table), table.target.astype(np.float64))

    kept: MemberRows = book.recall("tower-rows", (ask.rows, raw), build)
    return kept
