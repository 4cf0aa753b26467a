"""Model and head files: the same bytes for the same model, and strict reading."""

import hashlib
import json

import numpy as np
import pytest

from risk.bank import bank_result
from risk.errors import InputError
from risk.modelfile import (
    canonical_json,
    decode_head,
    decode_model,
    encode_head,
    encode_model,
    model_digest,
    read_json,
)
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
    assert document["format"] == "creditmesh-model/1" and document["recipe"] == "scorecard/1"
    assert document["model"]["dictionary"] == DICTIONARY.digest()


def test_a_head_comes_back_with_the_models_it_mixes() -> None:
    result = bank_result(BOOKS[0], OUTCOME)
    raw = encode_head(result.head, OUTCOME.model, result.own)
    assert decode_head(raw) == (result.head, model_digest(OUTCOME.model), model_digest(result.own))
    for key in ("format", "head", "models"):
        with pytest.raises(InputError, match="head file"):
            decode_head(canonical_json({**json.loads(raw), key: 1}))


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
        encode_model(OUTCOME.model).replace(b"creditmesh-model/1", b"creditmesh-model/2"),
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
