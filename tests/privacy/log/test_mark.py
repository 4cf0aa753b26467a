"""The high-water mark: torn writes, damage, and the databases it refuses."""

import pytest

from privacy.errors import VerificationError
from privacy.log.mark import MARK_BYTES, SLOT_BYTES, Mark, check_mark, decode_mark

OLD = Mark(1, "log", 5, b"a" * 32, False)
NEW = Mark(2, "log", 9, b"b" * 32, True)


def test_the_later_of_two_slots_counts() -> None:
    assert len(OLD.slot()) == SLOT_BYTES
    for content in (OLD.slot() + NEW.slot(), NEW.slot() + OLD.slot(), bytes(SLOT_BYTES) + NEW.slot(), NEW.slot()):
        assert decode_mark(content) == NEW


def test_a_torn_write_leaves_the_slot_before() -> None:
    for cut in range(1, len(NEW.slot().rstrip())):
        assert decode_mark(OLD.slot() + NEW.slot()[:cut].ljust(SLOT_BYTES)) == OLD


def test_damage_in_both_slots_is_refused() -> None:
    for content in (bytes(MARK_BYTES), b"", b"\xff" * MARK_BYTES, OLD.slot()[:40]):
        with pytest.raises(VerificationError) as caught:
            decode_mark(content)
        assert caught.value.code == "mark-unreadable"


def test_databases_that_do_not_continue_the_mark_are_refused() -> None:
    check_mark(NEW, "log", 9, b"b" * 32)
    check_mark(NEW, "log", 100, b"b" * 32)
    for origin, size, root, code in (("log", 8, None, "rolled-back"), ("log", 9, b"c" * 32, "forked"),
                                     ("other", 9, b"b" * 32, "origin-mismatch")):  # fmt: skip
        with pytest.raises(VerificationError) as caught:
            check_mark(NEW, origin, size, root)
        assert caught.value.code == code
