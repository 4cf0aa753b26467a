"""Who is here, who is silent, and whose session is a new one."""

from coordinator.presence import Presence


def presence(heard: dict[str, float]) -> Presence:
    return Presence(heard.get, lost_after_s=5.0)


def test_a_member_is_lost_after_its_silence_and_not_before() -> None:
    heard = {"a": 10.0}
    here = presence(heard)
    here.join("a", b"boot", True)
    boot = here.boots["a"]

    assert here.is_here("a", 14.999)
    assert not here.is_lost("a", boot, 14.999)
    assert not here.is_here("a", 15.0)
    assert here.is_lost("a", boot, 15.0)
    heard["a"] = 15.0
    assert not here.is_lost("a", boot, 16.0)


def test_a_broken_stream_is_an_absence_and_not_yet_a_loss() -> None:
    here = presence({"a": 10.0})
    here.join("a", b"boot", True)
    here.leave("a")

    assert not here.is_here("a", 11.0)
    assert not here.is_lost("a", here.boots["a"], 11.0)
    assert not here.is_silent("a", 11.0)

    before = here.boots["a"]
    here.join("a", b"boot", False)
    assert here.is_here("a", 11.0)
    assert here.boots["a"] == before


def test_a_new_process_and_a_new_session_of_the_same_process_are_losses_of_the_old_one() -> None:
    here = presence({"a": 10.0})
    here.join("a", b"boot", True)
    first = here.boots["a"]
    here.join("a", b"boot", True)
    second = here.boots["a"]
    here.join("a", b"other", True)

    assert here.is_lost("a", first, 10.0)
    assert here.is_lost("a", second, 10.0)
    assert not here.is_lost("a", here.boots["a"], 10.0)


def test_a_stranger_is_lost_silent_and_not_here() -> None:
    here = presence({})
    here.leave("a")

    assert here.is_lost("a", None, 0.0)
    assert here.is_lost("a", b"boot", 0.0)
    assert here.is_silent("a", 0.0)
    assert not here.is_here("a", 0.0)
