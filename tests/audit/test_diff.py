"""Two checkpoints of one log: continued, rolled back, forked, or not proved."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from audit.cli import main
from privacy.log.checkpoint import Checkpoint, sign_checkpoint
from privacy.log.note import NoteSigner
from tests.audit.conftest import Exchange
from tests.audit.logs import NODE, disarmed

Lines = pytest.CaptureFixture[str]
Compare = Callable[..., tuple[int, str]]


@pytest.fixture
def heads(exchange: Exchange) -> list[Path]:
    with closing(sqlite3.connect(exchange.node / "log.db")) as database:
        notes = [row[0] for row in database.execute("SELECT note FROM checkpoint ORDER BY size")]
    paths = [exchange.root / f"{number}.checkpoint" for number in range(len(notes))]
    for path, note in zip(paths, notes, strict=True):
        path.write_bytes(note)
    return paths


@pytest.fixture
def compare(capsys: Lines) -> Compare:
    def run(*arguments: object) -> tuple[int, str]:
        code = main(["diff", *map(str, arguments), "--json"])
        return code, json.loads(capsys.readouterr().out)["relation"]

    return run


def forged(exchange: Exchange, size: int) -> Path:
    """Sign another root at a size with the log's own key."""
    signer = NoteSigner(NODE, bytes.fromhex((exchange.node / "log.key").read_text()))
    path = exchange.root / "forged.checkpoint"
    path.write_bytes(sign_checkpoint(Checkpoint(NODE, size, b"f" * 32), signer))
    return path


def test_a_log_proves_that_it_went_on(exchange: Exchange, heads: list[Path], compare: Compare) -> None:
    for old, new in pairwise(heads):
        assert compare(old, new, exchange.node) == (0, "continued")
    assert compare(heads[0], heads[-1], exchange.node) == (0, "continued")
    assert compare(heads[2], heads[2], exchange.node) == (0, "same")


def test_a_later_head_that_is_smaller_was_rolled_back(exchange: Exchange, heads: list[Path], compare: Compare) -> None:
    assert compare(heads[-1], heads[1], exchange.node) == (4, "rolled-back")


def test_two_roots_at_one_size_are_a_fork_without_any_log(
    exchange: Exchange, heads: list[Path], compare: Compare
) -> None:
    size = int(heads[3].read_text().splitlines()[1])
    key = exchange.node / "log.vkey"
    assert compare(heads[3], forged(exchange, size), "--vkey", key) == (1, "forked")


def test_a_fork_at_another_size_is_proved_by_the_log(exchange: Exchange, heads: list[Path], compare: Compare) -> None:
    size = int(heads[3].read_text().splitlines()[1])
    assert compare(forged(exchange, size), heads[-1], exchange.node) == (1, "forked")
    assert compare(forged(exchange, size), heads[-1], "--vkey", exchange.node / "log.vkey") == (3, "unproved")


def test_a_changed_log_convicts_nobody_of_a_fork(exchange: Exchange, heads: list[Path], compare: Compare) -> None:
    disarmed(exchange.node / "log.db", "UPDATE event SET event = zeroblob(9) WHERE seq = 3")
    assert compare(heads[0], heads[-1], exchange.node) == (1, "log-differs")


def test_a_log_that_ends_before_proves_nothing(exchange: Exchange, heads: list[Path], compare: Compare) -> None:
    disarmed(exchange.node / "log.db", "DELETE FROM event WHERE seq > 5")
    assert compare(heads[0], heads[-1], exchange.node) == (3, "unproved")


def test_a_head_of_another_key_is_refused(exchange: Exchange, heads: list[Path], capsys: Lines) -> None:
    stranger = NoteSigner(NODE, b"s" * 32)
    (exchange.root / "s").write_bytes(sign_checkpoint(Checkpoint(NODE, 3, b"f" * 32), stranger))
    assert main(["diff", str(exchange.root / "s"), str(heads[-1]), str(exchange.node)]) == 1
    assert "no signature" in capsys.readouterr().err


def test_the_page_for_people_names_the_evidence(exchange: Exchange, heads: list[Path], capsys: Lines) -> None:
    assert main(["diff", str(heads[0]), str(heads[-1]), str(exchange.node)]) == 0
    out = capsys.readouterr().out
    assert "continued" in out and "consistency proof" in out and (exchange.node / "log.vkey").read_text().strip() in out


@pytest.mark.parametrize("more", [[], ["coordinator"], ["nowhere"]])
def test_usage(exchange: Exchange, heads: list[Path], capsys: Lines, more: list[str]) -> None:
    arguments = [str(exchange.root / each) for each in more]
    assert main(["diff", str(heads[0]), str(heads[1]), *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1
