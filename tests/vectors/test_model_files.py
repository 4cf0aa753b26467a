"""Golden model files load and score as on the day they were written; bad ones are refused for what is bad in them."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from risk.applicant import RecordReader, table_of
from risk.errors import InputError
from risk.model import Model
from risk.modelfile import canonical_json, decode_head, decode_model, encode_model, read_json
from tests.risk.awkward import DICTIONARY
from tests.vectors.model_files import BAD, main

FOLDER = Path(__file__).with_name("models")
GOOD = ("scorecard", "scorecard-1", "trees", "own")
# Of "name digest" lines, sorted, over all files. A golden file is never edited; a new format gets files of its own.
DIGEST = "dd49ed501647a0e729630d100e08f81650790eb04893525e35a997f1abf8c91b"


def test_no_golden_file_was_changed() -> None:
    lines = [f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path in sorted(FOLDER.iterdir())]
    assert len(lines) == len(GOOD) + 2 + len(BAD)
    assert hashlib.sha256("".join(lines).encode()).hexdigest() == DIGEST


def test_good_files_score_as_they_did() -> None:
    rows = [json.loads(line) for line in (FOLDER / "rows.jsonl").read_text("ascii").splitlines()]
    reader = RecordReader(DICTIONARY)
    table = table_of(DICTIONARY.model_fields, [reader.read(row["inputs"], {}).values for row in rows])
    logits: dict[str, np.ndarray] = {}
    for name in GOOD:
        raw = (FOLDER / f"{name}.json").read_bytes()
        model: Model = decode_model(raw)
        assert encode_model(model) == raw, name
        logits[name] = model.logit(table)
        # The file without bounds lets a number beyond them into an outer bin; here the reader has emptied the cell.
        same = np.ones(len(rows), dtype=bool) if name != "scorecard-1" else _allowed(rows)
        expected = np.array([float.fromhex(row["outputs"][name]["logit"]) for row in rows])
        assert np.array_equal(logits[name][same], expected[same]), name
        score = model.score(table)  # type: ignore[attr-defined]
        assert np.array_equal(score[same], np.array([row["outputs"][name]["score"] for row in rows])[same]), name
    head = decode_head((FOLDER / "head.json").read_bytes())
    digests = [hashlib.sha256((FOLDER / f"{name}.json").read_bytes()).hexdigest() for name in ("trees", "own")]
    assert [head.network, head.partner] == digests
    pd = head.head.pd(logits["trees"], logits["own"])
    assert np.abs(pd - [row["outputs"]["head"]["pd"] for row in rows]).max() <= 1e-15


def _allowed(rows: list[dict[str, dict[str, object]]]) -> np.ndarray:
    """Return which rows hold only values that the dictionary allows."""
    reader = RecordReader(DICTIONARY)
    return np.array([not any(why == "bounds" for _, why in reader.read(row["inputs"], {}).faults) for row in rows])


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_bad_file_is_refused_for_its_reason(name: str) -> None:
    raw = (FOLDER / f"bad-{name}.json").read_bytes()
    with pytest.raises(InputError) as refused:
        decode_head(raw) if BAD[name][0] == "head" else decode_model(raw)
    assert refused.value.code == BAD[name][2]
    # It differs from a good one in that alone: the change is what is refused.
    assert canonical_json(read_json(raw, "golden file")) == raw


def test_the_program_writes_no_second_set_over_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(FOLDER) == 2
    assert "kept" in capsys.readouterr().err
