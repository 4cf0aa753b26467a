"""The vectors are what our code makes and what a second implementation computes; a changed one is found."""

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature

from tests.vectors import recheck
from tests.vectors.generate import FOLDER, documents

PROGRAM = Path(recheck.__file__)
FOUND = (AssertionError, InvalidSignature, ValueError, KeyError, IndexError, OverflowError)
# The bound limits parts and enters no computation.
UNSEEN = {"bound"}


def test_our_code_still_makes_them() -> None:
    made = documents()
    assert sorted(made) == sorted(path.name for path in FOLDER.glob("*.json"))
    for name, text in made.items():
        assert (FOLDER / name).read_text(encoding="ascii") == text, name


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    # -I: no current folder, no PYTHONPATH. The house is installed in this environment, so its absence is proved below.
    return subprocess.run(
        [sys.executable, "-I", str(PROGRAM), str(folder)], capture_output=True, text=True, check=False
    )


def test_a_second_implementation_computes_them() -> None:
    done = run(FOLDER)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("as computed") == 8


def test_it_uses_none_of_our_code() -> None:
    program = f"import runpy, sys; runpy.run_path({str(PROGRAM)!r}, run_name='again'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & {"privacy", "risk", "node", "coordinator", "tests", "creditmesh_wire", "numpy", "google"}


def test_a_missing_or_broken_file_is_told(tmp_path: Path) -> None:
    for path in FOLDER.glob("*.json"):
        (tmp_path / path.name).write_text(path.read_text(encoding="ascii"), encoding="ascii")
    (tmp_path / "mask.json").unlink()
    (tmp_path / "shamir.json").write_text("{}", encoding="ascii")
    done = run(tmp_path)
    assert done.returncode == 1 and done.stdout.count("DIFFERS") == 2


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from leaves(inner, (*path, at))
    elif value not in ("", []):
        yield path


def changed(document: Any, path: tuple[Any, ...]) -> Any:
    other = copy.deepcopy(document)
    place = other
    for step in path[:-1]:
        place = place[step]
    value = place[path[-1]]
    if isinstance(value, int):
        place[path[-1]] = value + 1
    else:
        # The last digit of a hex string; in a text, its last letter.
        place[path[-1]] = value[:-1] + ("0" if value[-1] != "0" else "1")
    return other


@pytest.mark.parametrize("name", ["round", "dropout"])
def test_every_changed_value_of_a_round_is_found(name: str) -> None:
    document = json.loads((FOLDER / f"{name}.json").read_text(encoding="ascii"))
    recheck.check_round(document)
    paths = [path for path in leaves(document) if path[-1] not in UNSEEN]
    # The last members of `dropout` sent nothing; of the others one is enough.
    paths = [path for path in paths if path[0] != "members" or path[1] == 1]
    assert len(paths) > 30
    for path in paths:
        with pytest.raises(FOUND):
            recheck.check_round(changed(document, path))


@pytest.mark.parametrize("name", ["digest", "binding", "keys", "mask", "shamir", "witness"])
def test_every_changed_value_of_a_piece_is_found(name: str) -> None:
    document = json.loads((FOLDER / f"{name}.json").read_text(encoding="ascii"))
    check = recheck.CHECKS[name]
    check(document)
    for path in leaves(document):
        if "bad" not in str(path[0]) and path[-1] != "label":
            with pytest.raises(FOUND):
                check(changed(document, path))


def test_a_bad_vector_that_would_hold_is_found() -> None:
    for name, good, bad in (("digest", "good", "bad"), ("mask", "good", "bad"), ("binding", "good", "bad"),
                            ("keys", "box", "bad_box"), ("witness", "cosignatures", "bad_cosignatures")):  # fmt: skip
        document = json.loads((FOLDER / f"{name}.json").read_text(encoding="ascii"))
        with pytest.raises(FOUND):
            recheck.CHECKS[name]({**document, bad: [*document[bad], document[good][0]]})
