"""Every text exists in Chinese and English, is used, and names the same values in both."""

import re
import string
from pathlib import Path

import pytest

from coordinator.console.language import Texts, choose, load_texts
from privacy.errors import MisuseError

CONSOLE = Path(__file__).parents[3] / "coordinator" / "console"
TEXTS = load_texts()
HAN = re.compile(r"[\u4e00-\u9fff]")


def values(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def odd_pairs(texts: Texts) -> list[str]:
    """List the keys whose two texts cannot say the same."""
    return [
        key
        for key, (english, chinese) in texts.items()
        if values(english) != values(chinese)
        or HAN.search(english)
        or not (HAN.search(chinese) or (english.rstrip(".") == chinese.rstrip("。") and len(english) <= 12))
    ]


def test_both_languages_say_the_same() -> None:
    assert odd_pairs(TEXTS) == []


def test_an_odd_pair_is_found() -> None:
    planted = {
        "x.a": ("one {count}", "一"),
        "x.b": ("not translated at all", "not translated at all"),
        "x.c": ("一", "一"),
    }
    assert odd_pairs(planted) == ["x.a", "x.b", "x.c"]


def sources() -> str:
    files = [*CONSOLE.rglob("*.j2"), *CONSOLE.rglob("*.py"), CONSOLE.parent / "health.py"]
    return "\n".join(path.read_text("utf-8") for path in files)


def test_every_text_that_is_asked_for_exists() -> None:
    asked = set(re.findall(r'\bt\("([a-z_]+\.[A-Za-z_0-9.-]+)"', sources()))
    asked |= {each for pair in re.findall(r't\("([a-z_.]+)" if [^"]*?else "([a-z_.]+)"', sources()) for each in pair}
    assert len(asked) > 150
    assert {key for key in asked if key not in TEXTS and not key.endswith("_")} == set()


def test_no_text_is_left_over() -> None:
    text = sources()
    families = {found.split(".", 1)[0] + "." for found in re.findall(r'"([a-z_]+\.[a-z_]*)" ~', text)}
    exact = {key for key in TEXTS if f'"{key}"' in text}
    prefixes = tuple(re.findall(r'"([a-z_]+\.[a-z_]*_?)" ~', text))
    assert families
    assert {key for key in TEXTS if key not in exact and not key.startswith(prefixes)} == set()


@pytest.mark.parametrize(
    ("query", "cookie", "accepted", "expected"),
    [
        (None, None, "", "en"),
        (None, None, "zh-CN,en;q=0.5", "zh"),
        (None, None, "en-GB;q=0.9,zh;q=0.8", "en"),
        (None, None, "fr, zh;q=0.3", "zh"),
        (None, None, "zh;q=0", "en"),
        (None, None, "x" * 9999 + ";;;", "en"),
        (None, "zh", "en", "zh"),
        ("en", "zh", "zh", "en"),
        ("xx", "yy", "zh", "zh"),
    ],
)
def test_whose_word_counts(query: str | None, cookie: str | None, accepted: str, expected: str) -> None:
    assert choose(query, cookie, accepted) == expected


@pytest.mark.parametrize("line", ['a = "only one"', 'a = ["one"]', 'a = ["one", ""]', 'a = ["one", 2]'])
def test_a_text_without_its_pair_does_not_load(tmp_path: Path, line: str) -> None:
    (tmp_path / "x.toml").write_text(f"[x]\n{line}\n")
    with pytest.raises(MisuseError, match="pair"):
        load_texts(tmp_path)
