"""Draw pages from templates, and keep the static files with the digests that their addresses carry.

This module asks no database. Theory: every value is escaped; a name that a template misspells is an error and not an
empty spot; static files are read once at the start, so a request can name none that was not there.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, Response

from coordinator.console.language import HTML_LANG, LANGUAGES, Language, Texts, load_texts
from privacy.errors import MisuseError

__all__ = ["Pages"]

_HERE = Path(__file__).parent
_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}


class Pages:
    """Templates, texts and static files of the console."""

    def __init__(self) -> None:
        """Read all of them."""
        self.texts: Texts = load_texts()
        self._environment = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "moment": moment,
            "volume": volume,
            "grouped": grouped,
            "spaced": spaced,
            "json": _json,
        }
        self._static = {
            path.relative_to(_HERE / "static").as_posix(): (path.read_bytes(), _TYPES[path.suffix])
            for path in sorted((_HERE / "static").rglob("*"))
            if path.suffix in _TYPES
        }
        self._stamps = {name: hashlib.sha256(raw).hexdigest()[:12] for name, (raw, _) in self._static.items()}

    def draw(self, template: str, language: Language, values: Mapping[str, Any]) -> str:
        """Return a template's text for a language."""

        def text(key: str, **parts: object) -> Markup:
            return self.text(key, language, **parts)

        def known(key: str) -> bool:
            return key in self.texts

        shared = {
            "t": text,
            "known": known,
            "language": language,
            "languages": LANGUAGES,
            "html_lang": HTML_LANG[language],
            "static": self.address,
        }
        return self._environment.get_template(template).render({**shared, **values})

    def respond(self, template: str, language: Language, values: Mapping[str, Any], status: int = 200) -> Response:
        """Return a page; browsers and proxies keep no copy."""
        return HTMLResponse(self.draw(template, language, values), status, {"Content-Language": HTML_LANG[language]})

    def text(self, key: str, language: Language, **parts: object) -> Markup:
        """Return a text with its `{parts}` filled in, escaped; an unknown key is our bug."""
        pair = self.texts.get(key)
        if pair is None:
            raise MisuseError("text-unknown", f"there is no text {key}")
        template = Markup(pair[LANGUAGES.index(language)])  # noqa: S704 - our own file; the parts are escaped
        # An event of an older release may lack a value that its text names; a dash says so.
        return template.format_map(_Parts((name, escape(part)) for name, part in parts.items()))

    def address(self, name: str) -> str:
        """Return where a static file is found; the address changes with its content."""
        return f"/static/{name}?v={self._stamps[name]}"

    def static(self, name: str) -> Response:
        """Return a static file, or 404."""
        found = self._static.get(name)
        if found is None:
            return Response("no such file\n", 404, media_type="text/plain")
        return Response(found[0], 200, {"Cache-Control": "public, max-age=31536000, immutable"}, found[1])


class _Parts(dict[str, Any]):
    def __missing__(self, _name: str) -> str:
        return "–"


def moment(microseconds: int | None, precise: bool = False) -> Markup | str:
    """Return a time as `<time>`, UTC, to the minute or second."""
    if microseconds is None:
        return "–"
    at = datetime.fromtimestamp(microseconds / 1e6, UTC)
    shown = at.strftime("%Y-%m-%d %H:%M:%S" if precise else "%Y-%m-%d %H:%M")
    iso = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Markup('<time datetime="{}">{} UTC</time>').format(iso, shown)


def volume(count: float | None) -> str:
    """Return bytes as text, such as `1.2 MB`."""
    if count is None:
        return "–"
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError


def spaced(iso: str | None) -> str:
    """Return an ISO time in UTC as the other times are shown."""
    return "–" if not iso else iso.replace("T", " ").replace("Z", " UTC")


def grouped(number: float | None) -> str:
    """Return a whole number with thin groups of three digits."""
    return "–" if number is None else f"{number:,.0f}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)
