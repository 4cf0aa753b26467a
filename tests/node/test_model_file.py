"""The command that writes a model for other engines: what it writes, and what it says of files that are no models."""

import json
from pathlib import Path

import pytest

from node.cli import main
from risk.catalogue import recipe
from risk.head import Head
from risk.modelfile import decode_model, encode_head, encode_model, model_digest
from risk.spec import JobSpec
from tests.risk.rooms import books_of, room_dictionary, room_tables, train


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a scorecard, a forest, and a head over both."""
    made = tmp_path_factory.mktemp("models")
    dictionary, models = room_dictionary(), []
    tables = room_tables(dictionary, (900, 800, 700, 600), 6)
    for name, parameters in (("scorecard", {}), ("trees", {"trees": 5})):
        spec = JobSpec(name, 1, recipe(name).parse_parameters(parameters), dictionary, 4, 1 << 16, 0, 300_000)
        models.append(train(spec, books_of(tables, spec)).model)
        (made / f"{name}.json").write_bytes(encode_model(models[-1]))
    (made / "head.json").write_bytes(encode_head(Head(0.0, 0.8, 0.3), models[1], models[0]))
    return made


@pytest.mark.parametrize(
    ("model", "form", "starts"),
    [
        ("scorecard", "sql", b"SELECT"),
        ("scorecard", "pmml", b"<?xml"),
        ("scorecard", "onnx", b""),
        ("trees", "onnx", b""),
    ],
)
def test_it_writes_the_model_and_golden_rows(
    folder: Path, tmp_path: Path, model: str, form: str, starts: bytes
) -> None:
    if form == "onnx":
        pytest.importorskip("onnx", reason="onnx is not installed, so no ONNX can be written")
    out, golden = tmp_path / f"m.{form}", tmp_path / "golden.jsonl"
    command = ["model", str(folder / f"{model}.json"), "--format", form, "--out", str(out), "--golden", str(golden)]
    assert main(command) == 0
    assert out.read_bytes().startswith(starts) and out.stat().st_size > 500
    rows = [json.loads(line) for line in golden.read_text("ascii").splitlines()]
    assert len(rows) >= 1000 and len({str(row["outputs"]) for row in rows}) > 50
    assert any(None in row["inputs"].values() for row in rows)
    assert main(command) == 2  # what is there is not overwritten


def test_it_writes_a_bank_s_head(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed, so no ONNX can be written")
    own = ["--head", str(folder / "head.json"), "--own", str(folder / "scorecard.json")]
    golden = tmp_path / "golden.jsonl"
    out = ["--format", "onnx", "--out", str(tmp_path / "head.onnx"), "--golden", str(golden)]
    assert main(["model", str(folder / "trees.json"), *out, *own]) == 0
    for line in golden.read_text("ascii").splitlines()[:50]:
        outputs = json.loads(line)["outputs"]
        trees, card = (outputs[model_digest(decode_model((folder / f"{name}.json").read_bytes()))[:16]]["logit"]
                       for name in ("trees", "scorecard"))  # fmt: skip
        assert outputs["head"]["logit"] == 0.8 * trees + 0.3 * card
    assert main(["model", str(folder / "trees.json"), "--format", "sql", "--out", str(tmp_path / "h.sql"), *own]) == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere.json", "--format", "sql"], "no such file"),
        (["head.json", "--format", "sql"], "expected format creditmesh-model/1"),
        (["trees.json", "--format", "sql"], "cannot be written as sql"),
        (["trees.json", "--format", "pmml"], "cannot be written as pmml"),
        (["scorecard.json", "--format", "onnx", "--head", "head.json"], "--own"),
        (["scorecard.json", "--format", "onnx", "--head", "head.json", "--own", "trees.json"], "other models"),
        (["scorecard.json", "--format", "word"], "invalid choice"),
    ],
)
def test_a_wrong_file_gives_one_line(
    folder: Path, tmp_path: Path, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    named = [str(folder / each) if each.endswith(".json") else each for each in arguments]
    assert main(["model", *named, "--out", str(tmp_path / "x")]) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1
    assert not (tmp_path / "x").exists()
