"""Write the golden model files: good ones with what they score, and bad ones with why they are refused.

    python -m tests.vectors.model_files FOLDER

They are written once for each format and then kept: a file that somebody trained and signed off has to load and score
alike for as long as the format has its name. So `test_model_files.py` pins every digest, and this program refuses a
folder that holds any. `rows.jsonl` has a row a line: inputs as a caller has them, of every model the score and the
log-odds as a hexadecimal float, and of the head the calibrated PD.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from risk.card import Scorecard
from risk.forest import Forest
from risk.head import Head
from risk.model import Model
from risk.modelfile import encode_head, encode_model
from tests.risk.awkward import HEAD, applicants, models, plain_rows

__all__ = ["BAD", "bad_files", "good_files"]

_ROWS = 300
Change = Callable[[dict[str, Any]], object]


def good_files() -> dict[str, bytes]:
    """Return the good files by name, and the rows."""
    card, forest, own = (models()[name] for name in ("scorecard", "trees", "own"))
    assert isinstance(card, Scorecard) and isinstance(forest, Forest)
    forest = replace(forest, trees=forest.trees[:6])
    first = replace(
        card,
        reference=None,
        fields=tuple(replace(item, coding=replace(item.coding, bounds=None)) for item in card.fields),
    )
    chosen: dict[str, Model] = {"scorecard": card, "scorecard-1": first, "trees": forest, "own": own}
    files = {f"{name}.json": encode_model(model) for name, model in chosen.items()}
    files["head.json"] = encode_head(HEAD, forest, own)
    return {**files, "rows.jsonl": _rows(chosen, HEAD)}


def _rows(chosen: dict[str, Model], head: Head) -> bytes:
    table = applicants(_ROWS, infinite=False)
    logits = {name: model.logit(table) for name, model in chosen.items()}
    logits["head"] = head.logit(logits["trees"], logits["own"])
    chance = head.pd(logits["trees"], logits["own"])
    scores = {name: model.score(table) for name, model in chosen.items()}  # type: ignore[attr-defined]
    lines = []
    for at, row in enumerate(plain_rows(table)):
        outputs: dict[str, dict[str, object]] = {
            name: {"logit": float(each[at]).hex()} for name, each in logits.items()
        }
        for name, score in scores.items():
            outputs[name]["score"] = int(score[at])
        outputs["head"]["pd"] = float(chance[at])
        lines.append(json.dumps({"inputs": row, "outputs": outputs}, sort_keys=True))
    return ("\n".join(lines) + "\n").encode("ascii")


def _set(value: object, *path: str | int) -> Change:
    def change(document: dict[str, Any]) -> None:
        place: Any = document
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return change


def _loop(document: dict[str, Any]) -> None:
    """Let a node below the root be its own child: a reader that trusts it never ends."""
    tree = document["model"]["trees"][0]
    number = next(at for at, node in enumerate(tree) if at and node["left"] > 0)
    tree[number]["left"] = number


# Name: (file it is made from, what is changed, the code it is refused with).
BAD: dict[str, tuple[str, Change, str]] = {
    "format-unknown": ("scorecard", _set("creditmesh-model/9", "format"), "model-format"),
    "recipe-unknown": ("scorecard", _set("forest/1", "recipe"), "recipe-unknown"),
    "version-unknown": ("scorecard", _set("scorecard/7", "recipe"), "model-version"),
    "weight-negative": ("scorecard", _set(-1, "model", "fields", 0, "weight"), "model-integer"),
    "points-broken": ("scorecard", _set(1.5, "model", "fields", 0, "points", 0), "model-integer"),
    "bin-missing": ("scorecard", lambda d: d["model"]["fields"][0]["woe"].pop(), "model-bins"),
    "cuts-unordered": ("scorecard", lambda d: d["model"]["fields"][0]["coding"]["cuts"].reverse(), "model-coding"),
    "bounds-turned": ("scorecard", _set([9.0, 1.0], "model", "fields", 0, "coding", "bounds"), "model-coding"),
    "key-added": ("scorecard", _set(1, "model", "note"), "model-keys"),
    "tree-ends-in-itself": ("trees", _loop, "model-trees"),
    "tree-column": ("trees", _set(999, "model", "trees", 0, 0, "column"), "model-trees"),
    "head-weight": ("head", _set(-0.1, "head", "own"), "head-weights"),
    "head-falls": ("head", _set(-1.0, "head", "calibration", "mixed", "slope"), "curve-form"),
    "head-models": ("head", lambda d: d["models"].pop("partner"), "head-models"),
}


def bad_files(good: dict[str, bytes]) -> dict[str, bytes]:
    """Return the bad files by name."""
    made = {}
    for name, (source, change, _) in BAD.items():
        document = json.loads(good[f"{source}.json"])
        change(document)
        made[f"bad-{name}.json"] = json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii")
    return made


def main(folder: Path) -> int:
    """Write all files into an empty folder."""
    folder.mkdir(exist_ok=True)
    if any(folder.glob("*.json")):
        print(f"{folder} holds golden files, which are kept; name another folder", file=sys.stderr)
        return 2
    good = good_files()
    for name, content in {**good, **bad_files(good)}.items():
        (folder / name).write_bytes(content)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
