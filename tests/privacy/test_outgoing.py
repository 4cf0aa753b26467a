"""What wants to leave never prints its bytes."""

from privacy.outgoing import Outgoing


def test_the_bytes_do_not_print() -> None:
    made = Outgoing("secagg.upload", "id", "coordinator", "job-1", 1, "credit-risk-model", "masked", b"SECRET", "00")
    assert "SECRET" not in repr(made) and made.record == {}
