"""Texts of the auditor's report: pairs in two languages, and a log's words made harmless to read.

A text that lacks one language cannot be written. What a log says is foreign: control and direction characters, which
a screen obeys and a reader does not see, are spelt out as their code points.
"""

import unicodedata
from dataclasses import dataclass
from typing import Literal

__all__ = ["LANGUAGES", "Language", "Say", "counted", "printed", "same", "shown", "sized"]

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")
SHOWN_LENGTH = 120
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_RIGHT_TO_LEFT = {"R", "AL", "AN"}


@dataclass(frozen=True, slots=True)
class Say:
    """One text in English and in Chinese."""

    en: str
    zh: str

    def of(self, language: Language) -> str:
        """Return the text in a language."""
        return self.en if language == "en" else self.zh


def same(text: str) -> Say:
    """Return a text that is the same in both languages: a name, a code, a number."""
    return Say(text, text)


def printed(text: str, formula: bool = False) -> str:
    """Return the text with every invisible character spelt out; `formula`: with `'` before what a sheet would run."""
    clean = text
    if not text.isascii() or not text.isprintable():
        clean = "".join(f"⟨U+{ord(each):04X}⟩" if unicodedata.category(each) in _UNSEEN else each for each in text)
    return "'" + clean if formula and text.startswith(_FORMULA) else clean


def shown(text: object) -> str:
    """Return a log's text for a sentence: nothing hidden, at most 120 characters, its direction kept apart."""
    clean = printed(str(text))
    if len(clean) > SHOWN_LENGTH:
        clean = clean[: SHOWN_LENGTH - 1] + "…"
    if any(unicodedata.bidirectional(each) in _RIGHT_TO_LEFT for each in clean):
        return f"\u2068{clean}\u2069"
    return clean


def counted(number: int, one: str, many: str = "") -> str:
    """Return an English count: `1 record`, `2,000 records`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def sized(number: float) -> str:
    """Return bytes in decimal units with three digits: `999 B`, `1.23 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 999.5 or unit == "GB":
            break
        number /= 1000
    digits = 0 if unit == "B" or number >= 99.95 else 1 if number >= 9.995 else 2
    return f"{number:,.{digits}f} {unit}"
