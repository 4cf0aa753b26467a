"""Sessions end by idleness, by age and by number, and are found by their names alone."""

from dataclasses import dataclass

from coordinator.account_store import Account
from coordinator.console import session_book
from coordinator.console.session_book import SessionBook

ACCOUNT = Account(7, "ann", "risk", 1, 1)


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_session_ends_when_nobody_moves() -> None:
    clock = Clock()
    book = SessionBook(clock)
    name = book.open(ACCOUNT)
    clock.now = session_book.IDLE_S - 1
    assert book.find(name) is not None
    clock.now += session_book.IDLE_S - 1
    assert book.find(name) is not None
    clock.now += session_book.IDLE_S + 1
    assert book.find(name) is None


def test_looking_does_not_keep_a_session_open() -> None:
    clock = Clock()
    book = SessionBook(clock)
    session = book.find(book.open(ACCOUNT))
    assert session is not None
    clock.now = session_book.IDLE_S - 1
    assert book.holds(session)
    clock.now += 2
    assert not book.holds(session)


def test_a_session_ends_however_busy_it_is() -> None:
    clock = Clock()
    book = SessionBook(clock)
    name = book.open(ACCOUNT)
    while clock.now < session_book.LONGEST_S:
        assert book.find(name) is not None
        clock.now += 600
    clock.now = session_book.LONGEST_S + 1
    assert book.find(name) is None


def test_there_is_an_end_to_sessions() -> None:
    clock = Clock()
    book = SessionBook(clock)
    names = []
    for number in range(session_book.MOST + 1):
        clock.now = number / 10_000
        names.append(book.open(ACCOUNT))
    assert book.find(names[0]) is None
    assert book.find(names[1]) is not None


def test_names_and_tokens_are_never_the_same() -> None:
    book = SessionBook(Clock())
    names = {book.open(ACCOUNT) for _ in range(50)}
    found = [book.find(name) for name in names]
    assert len(names) == len({each.token for each in found if each}) == 50


def test_a_form_token_belongs_to_its_nonce_and_process() -> None:
    book = SessionBook(Clock())
    assert book.form_token("a") == book.form_token("a") != book.form_token("b")
    assert SessionBook(Clock()).form_token("a") != book.form_token("a")


def test_a_session_does_not_show_its_name() -> None:
    book = SessionBook(Clock())
    name = book.open(ACCOUNT)
    assert name.encode() not in b"".join(book._sessions) and name not in repr(book.find(name))
