"""The harness on a tree of its own: a check that a test relies on is caught, one that no test relies on survives."""

from pathlib import Path

import pytest

from tests.mutation.campaign import Campaign
from tests.mutation.sites import find_sites
from tests.mutation.trial import Suite

ALL: frozenset[str] = frozenset()
GATE = '''
class RefusalError(Exception):
    pass

def enter(age, name):
    """Let somebody in."""
    if age < 18 or not name:
        raise RefusalError("too-young")
    while age > 900:
        age = age if age % 2 else 901
        if age % 2:
            raise RefusalError("endless")
    return name
'''
TESTS = """
import pytest
from door.gate import RefusalError, enter

def test_the_young_stay_out():
    with pytest.raises(RefusalError):
        enter(17, "ann")

def test_the_old_come_in():
    assert enter(18, "ann") == "ann"

def test_the_nameless_try():
    try:
        enter(18, "")
    except RefusalError:
        pass
"""
MISSED = "door/gate.py enter: half `not name` of: raise RefusalError('too-young')"
UNTRIED = "door/gate.py enter: if age % 2: raise RefusalError('endless')"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for path, text in {
        "privacy/door/gate.py": GATE,
        "privacy/door/__init__.py": "",
        "tests/test_gate.py": TESTS,
    }.items():
        (tmp_path / "tree" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / path).write_text(text, "utf-8")
    options = "[tool.pytest.ini_options]\npythonpath = ['privacy']\naddopts = '--import-mode=importlib -q'\n"
    (tmp_path / "tree" / "pyproject.toml").write_text(options, "utf-8")
    return tmp_path / "tree"


def campaign(tree: Path, **allowed: str) -> Campaign:
    names = {"privacy/door/*.py": ALL}
    return Campaign(
        tree, names, Suite(("tests",)), {f"privacy/{name}": why for name, why in allowed.items()}, tree.parent
    )


def test_a_check_without_a_test_survives_and_one_with_a_test_is_caught(tree: Path) -> None:
    lines: list[str] = []
    assert campaign(tree).run(None, lines.append) == 1
    told = "\n".join(lines)
    assert lines[-1] == "2 caught of 4"
    assert told.count("by tests/test_gate.py::test_the_young_stay_out") == 2
    assert f"SURVIVED  {MISSED.replace('door', 'privacy/door').replace(' enter', ':7 enter')}" in told
    assert "2 tests make it speak up" in told
    assert "no test makes it speak up" in told
    assert (tree / "privacy/door/gate.py").read_text("utf-8") == GATE

    # With a reason each, nothing is missed; nothing changed, so nothing runs again: the tests could not even start.
    (tree.parent / "tree" / "pyproject.toml").write_text("[tool.pytest.ini_options]\naddopts = '--no-such-option'\n")
    lines.clear()
    assert campaign(tree, **{MISSED: "another check", UNTRIED: "another check"}).run(None, lines.append) == 0
    assert lines[-1] == "2 caught of 2"
    # A reason for a check that is caught, or gone, is told.
    assert (
        campaign(tree, **{MISSED: "x", UNTRIED: "x", "door/gate.py gone: if x: raise": "x"}).run(None, lines.append)
        == 1
    )
    assert "gone" in lines[-2]


@pytest.mark.parametrize(
    ("text", "removed"),
    [
        ("if a or b:\n    raise PeerError('x', 'y')", ["if False or b:", "if a or False:", "    pass"]),
        ("if not 1 <= a <= 9:\n    raise PeerError('x', 'y')", ["if not (a <= 9):", "if not (1 <= a):", "    pass"]),
        ("if (a, b) != (c, d):\n    raise PeerError('x', 'y')", ["if b != d:", "if a != c:", "    pass"]),
        ("try:\n    f()\nexcept KeyError:\n    raise PeerError('x', 'y') from None", ["    pass"]),
        ("self._in(State.IDLE)", ["pass"]),
        ("_digests(a, b)", ["_digests(b)", "_digests(a)", "pass"]),
        ("m = self._take(envelope, Open, here)", ["m = envelope.message"]),
        ("m = relayed(raw, 'x', a, b, c).message", ["m = open_envelope(raw, c).message"]),
        ("shares = give() if a == b else ()", ["shares = give()"]),
        ("rules = ((a < b, 'x', 'y'), (c, 'x', 'y'))", ["rules = ((True, 'x', 'y'), (c, 'x', 'y'))",
                                                        "rules = ((a < b, 'x', 'y'), (True, 'x', 'y'))"]),
        ("if late:\n    return []  # 迟到", ["    pass  # 迟到"]),
        ("self._votes.setdefault(a, b)", ["self._votes[a] = b"]),
        ("self._keys = None", ["pass"]),
        ("history.vote(a, b)", ["pass"]),
        ("return RefusalError('x', 'y')", ["return None"]),
        ("print(a)\nb = f(a)\nassert b", []),
    ],
)  # fmt: skip
def test_every_kind_of_check_is_found_and_removed(text: str, removed: list[str]) -> None:
    body = "".join(f"    {line}\n" for line in text.splitlines())
    source = f"# 检查\ndef step(self):\n{body}".encode()
    found = [site.remove(source).decode().splitlines() for site in find_sites("x.py", source)]
    changed = [next(line for line in lines if f"{line}\n" not in source.decode()) for lines in found]
    assert sorted(changed) == sorted(f"    {line}" for line in removed)


def test_a_check_keeps_its_name_when_lines_move() -> None:
    text = "def step():\n    if a:\n        raise PeerError('x', 'one text')\n    if a:\n        raise PeerError('x')\n"
    before = [site.name for site in find_sites("x.py", text.encode())]
    after = [site.name for site in find_sites("x.py", ("\n\n# 检查\n" + text.replace("one", "another")).encode())]
    assert before == after == ["x.py step: if a: raise PeerError('x')", "x.py step: if a: raise PeerError('x') #2"]
