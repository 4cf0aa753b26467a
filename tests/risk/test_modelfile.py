"""Model and head files: the same bytes for the same model, and strict reading."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from risk.bank import bank_result
from risk.errors import InputError
from risk.modelfile import (
    HeadFile,
    canonical_json,
    decode_head,
    decode_model,
    encode_head,
    encode_model,
    model_digest,
    read_json,
)
from risk.table import concatenate
from tests.risk import scorers
from tests.risk.rooms import books_of, room_dictionary, room_tables, spec_of, train

DICTIONARY = room_dictionary()
SPEC = spec_of(DICTIONARY, 4)
BOOKS = books_of(room_tables(DICTIONARY, (600, 500, 400, 300), 3), SPEC)
OUTCOME = train(SPEC, BOOKS)


def test_a_model_comes_back_and_scores_alike() -> None:
    raw = encode_model(OUTCOME.model)
    back = decode_model(raw)
    assert back == OUTCOME.model and encode_model(back) == raw
    assert np.array_equal(back.logit(BOOKS[0].table), OUTCOME.model.logit(BOOKS[0].table))
    assert model_digest(back) == hashlib.sha256(raw).hexdigest()
    document = json.loads(raw)
    assert document["format"] == "creditmesh-model/2" and document["recipe"] == "scorecard/1"
    assert document["model"]["dictionary"] == DICTIONARY.digest()


def test_a_file_without_a_reference_is_read_as_before() -> None:
    bare = replace(OUTCOME.model, reference=None)  # type: ignore[type-var]
    document = json.loads(encode_model(bare))
    assert document["format"] == "creditmesh-model/1" and "reference" not in document
    back = decode_model(encode_model(bare))
    assert back == bare and back.reference is None


def test_a_reference_counts_the_training_rows_in_every_bin() -> None:
    reference = decode_model(encode_model(OUTCOME.model)).reference
    assert reference is not None and reference == OUTCOME.model.reference
    train_rows = concatenate([book.table.select(book.rows("train")) for book in BOOKS])
    assert reference.score_counts(OUTCOME.model.logit(train_rows)) == reference.score_rows
    assert reference.field_counts(train_rows) == reference.field_rows() and len(reference.fields) > 2
    grades = reference.scale.grade(OUTCOME.model.logit(train_rows))
    assert tuple(np.bincount(grades - 1, minlength=reference.scale.size)) == reference.scale.rows
    assert (
        tuple(np.bincount(grades[train_rows.target == 1] - 1, minlength=reference.scale.size)) == reference.scale.bads
    )


BAD_REFERENCES: list[Callable[[dict[str, Any]], object]] = [
    lambda r: r.pop("score"),
    lambda r: r["score"]["cuts"].reverse(),
    lambda r: r["score"]["rows"].pop(),
    lambda r: r["score"]["rows"].__setitem__(0, -1),
    lambda r: r["score"].__setitem__("cuts", "all"),
    lambda r: r.__setitem__("fields", {}),
    lambda r: r["fields"][0].pop("rows"),
    lambda r: r["fields"][0]["rows"].append(3),
    lambda r: r["grades"]["cuts"].append(10**6),
    lambda r: r["grades"].__setitem__("bads", [10**9] * len(r["grades"]["bads"])),
    lambda r: r["grades"].__setitem__("rows", [True] * len(r["grades"]["rows"])),
    lambda r: r.__setitem__("grades", []),
]


@pytest.mark.parametrize("spoil", BAD_REFERENCES)
def test_a_broken_reference_is_refused(spoil: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(encode_model(OUTCOME.model))
    spoil(document["reference"])
    with pytest.raises(InputError, match="model file"):
        decode_model(canonical_json(document))


def test_a_head_comes_back_with_the_models_it_mixes() -> None:
    result = bank_result(BOOKS[0], OUTCOME)
    raw = encode_head(result.head, OUTCOME.model, result.own, OUTCOME.half_a)
    digests = [model_digest(model) for model in (OUTCOME.model, result.own, OUTCOME.half_a)]
    assert decode_head(raw) == HeadFile(result.head, *digests)
    alone = decode_head(encode_head(result.head, OUTCOME.model, result.own))
    assert alone.partner == alone.own == digests[1]
    document = json.loads(raw)
    for key in ("format", "head", "models"):
        with pytest.raises(InputError, match="head file"):
            decode_head(canonical_json({**document, key: 1}))
    for name, value in (("own", "x"), ("own", 1), ("partner", "A" * 64), ("more", "0" * 64)):
        with pytest.raises(InputError, match="head file"):
            decode_head(canonical_json({**document, "models": {**document["models"], name: value}}))
    with pytest.raises(InputError, match="creditmesh-head/2"):
        decode_head(canonical_json({**document, "format": "creditmesh-head/1"}))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{",
        b"\xff\xfe",
        encode_model(OUTCOME.model).replace(b'{"format"', b'{"format":"x","format"'),
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b"[" * 100_000,
        encode_model(OUTCOME.model)[:-1],
        encode_model(OUTCOME.model).replace(b"creditmesh-model/2", b"creditmesh-model/1"),
        encode_model(OUTCOME.model).replace(b"creditmesh-model/2", b"creditmesh-model/3"),
        encode_model(OUTCOME.model).replace(b"scorecard/1", b"scorecard/2"),
        encode_model(OUTCOME.model).replace(b"scorecard/1", b"trees/1"),
        encode_model(OUTCOME.model).replace(b'"intercept"', b'"intercepted"'),
    ],
)
def test_anything_else_is_refused(raw: bytes) -> None:
    with pytest.raises(InputError) as caught:
        decode_model(raw)
    assert "\n" not in caught.value.message


def test_numbers_that_json_does_not_have_are_not_written() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json({"a": float("nan")})
    assert read_json(canonical_json({"b": 1, "a": [0.1]}), "file") == {"a": [0.1], "b": 1}
    assert canonical_json({"b": "é", "a": 1}) == b'{"a":1,"b":"\\u00e9"}'


def test_towers_are_decoded_without_torch() -> None:
    program = (
        "import sys\n"
        "from risk.modelfile import decode_model, encode_model\n"
        "assert decode_model(sys.stdin.buffer.read()).recipe == 'towers/1'\n"
        "assert 'torch' not in sys.modules\n"
    )
    raw = encode_model(scorers.models()["towers"])
    subprocess.run([sys.executable, "-c", program], input=raw, check=True, timeout=60)
