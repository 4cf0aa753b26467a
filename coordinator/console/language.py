"""The console's words in Chinese and English, and which of the two a visitor reads.

This module draws no page. Theory: a text is a pair in a file of `texts/`, `key = ["English", "中文"]` under
the table of its view, so a key cannot exist in one language alone. A request says its language by `?lang=`, else by
its cookie, else by `Accept-Language`.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from privacy.errors import MisuseError

__all__ = ["COOKIE", "HTML_LANG", "LANGUAGES", "Language", "Texts", "choose", "load_texts"]

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")
HTML_LANG: Mapping[Language, str] = {"en": "en", "zh": "zh-Hans"}
COOKIE = "creditmesh-language"

_ACCEPTED = re.compile(r"\s*([A-Za-z]{1,8})(?:-[A-Za-z0-9-]{1,30})?\s*(?:;\s*q=([01](?:\.\d{1,3})?))?\s*")

Texts = Mapping[str, tuple[str, str]]


def load_texts(folder: Path | None = None) -> Texts:
    """Return every text by `table.key`; raises `MisuseError` for a value that is not a pair of texts."""
    texts: dict[str, tuple[str, str]] = {}
    for path in sorted((folder or Path(__file__).with_name("texts")).glob("*.toml")):
        for table, entries in tomllib.loads(path.read_text("utf-8")).items():
            for key, pair in entries.items():
                name = f"{table}.{key}"
                if name in texts or not (isinstance(pair, list) and len(pair) == 2 and all(map(_is_text, pair))):
                    raise MisuseError("text-form", f"{path.name}: {name} must be a pair of texts: English, Chinese")
                texts[name] = (pair[0], pair[1])
    return texts


def choose(query: str | None, cookie: str | None, accepted: str) -> Language:
    """Return the language of a request: what it asks for, else its cookie's, else its browser's, else English."""
    for wish in (query, cookie):
        if wish in ("en", "zh"):
            return "zh" if wish == "zh" else "en"
    best: tuple[float, Language] = (0.0, "en")
    for part in accepted[:512].split(","):
        match = _ACCEPTED.fullmatch(part)
        if match and match.group(1).lower() in LANGUAGES:
            weight = float(match.group(2) or 1)
            if weight > best[0]:
                best = (weight, "zh" if match.group(1).lower() == "zh" else "en")
    return best[1]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
