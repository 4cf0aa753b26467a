"""Words of values and ranges, in both languages, true at their edges."""

import pytest

from risk.alternatives import Alternative
from risk.reasons import Phrases
from tests.risk.rooms import category, flag, number, room_dictionary

FIELDS = room_dictionary(
    number("money", (0, 1e9), text_zh="金额"),
    number("part", (0, 1), unit="share"),
    number("times", (0, 100), unit="count"),
    flag("late", text_zh="逾期"),
    category("trade", 5),
).model_fields
PHRASES = Phrases(FIELDS, ())


@pytest.mark.parametrize(
    ("place", "value", "english", "chinese"),
    [
        (0, 1_234_567.0, "1,234,567 CNY", "1,234,567元"),
        (0, 0.5, "0.5 CNY", "0.5元"),
        (1, 0.41, "41%", "41%"),
        (3, 1.0, "yes", "是"),
        (3, 0.0, "no", "否"),
        (4, 2, "level 2", "level 2"),
        (4, None, "not known", "未知"),
    ],
)
def test_values(place: int, value: float | None, english: str, chinese: str) -> None:
    assert PHRASES.value(place, value) == (english, chinese)


@pytest.mark.parametrize(
    ("each", "english", "chinese"),
    [
        (Alternative(0, 0.0, None, 5000.0), "below 5,000 CNY", "低于5,000元"),
        (Alternative(0, 5000.0, 5000.0, None), "5,000 CNY or more", "不低于5,000元"),
        (Alternative(1, 0.1, 0.1, 0.25), "from 10% to below 25%", "10%（含）至25%（不含）"),
        (Alternative(2, 0.0, None, 0.5), "0", "0"),
        (Alternative(2, 0.0, None, 3.0), "2 or less", "不高于2"),
        (Alternative(2, 2.5, 2.5, None), "3 or more", "不低于3"),
        (Alternative(2, 2.5, 2.5, 6.0), "3 to 5", "3至5"),
        (Alternative(0, 0.0), "any value", "任何值"),
        (Alternative(3, 0.0, None, 0.5), "no", "否"),
        (Alternative(4, 0, levels=("level 0", "level 1")), "level 0, level 1", "level 0, level 1"),
        (Alternative(4, 0, levels=tuple("abcde")), "a, b, c and 2 more", "a, b, c等5类"),
    ],
)
def test_ranges(each: Alternative, english: str, chinese: str) -> None:
    assert PHRASES.range(each) == (english, chinese) == PHRASES.range(each)


def test_codes_count_the_fields_of_a_dimension() -> None:
    assert PHRASES.codes == ["CR01", "CR02", "CR03", "BE01", "SC01"]
    assert PHRASES.names[0] == ("money", "金额") and PHRASES.names[1] == ("part", "part")
