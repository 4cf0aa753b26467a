"""Pages from templates: language, headers, and the words of both languages.

It knows no applicant. Theory: the language is what the address asks for, else what was chosen before, else what the
browser prefers; every page forbids scripts, frames and anything from elsewhere, and is kept by no cache.
"""

import json
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from node.tokens import Caller, allowed

__all__ = ["LANGUAGES", "Frame", "language_of", "words"]

LANGUAGES = ("zh", "en")
_HERE = Path(__file__).parent
_LANGUAGE_COOKIE = "creditmesh_language"
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


@cache
def words(language: str) -> dict[str, Any]:
    """Return the pages' words in a language; those of the bank's own pages under `bank`."""
    desk, bank = (tomllib.loads((_HERE / f"{name}_{language}.toml").read_text("utf-8")) for name in ("words", "bank"))
    return {**desk, "bank": bank}


def language_of(request: Request) -> str:
    """Return `zh` or `en`."""
    for asked in (request.query_params.get("lang"), request.cookies.get(_LANGUAGE_COOKIE)):
        if asked in LANGUAGES:
            return asked
    preferred = request.headers.get("accept-language", "").lower()
    zh, en = preferred.find("zh"), preferred.find("en")
    return "en" if en >= 0 and (zh < 0 or en < zh) else "zh"


class Frame:
    """Make pages for one bank."""

    def __init__(self, institution: str) -> None:
        """institution: the bank's id."""
        self._institution = institution
        self._made = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=select_autoescape(default=True, default_for_string=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._made.filters["fromjson"] = json.loads

    def page(
        self, request: Request, template: str, whose: tuple[Caller | None, str], more: dict[str, Any], status: int
    ) -> Response:
        """Return a page; whose: who is signed in, and what the page's forms carry."""
        language = language_of(request)
        caller, form = whose
        text = self._made.get_template(f"{template}.html.j2").render(
            language=language,
            other="en" if language == "zh" else "zh",
            here=request.url.path if request.method == "GET" else f"/{request.url.path.split('/')[1]}",
            can=lambda action: caller is not None and allowed(caller, action),
            w=words(language),
            caller=caller,
            institution=self._institution,
            form=form,
            **more,
        )
        answer = HTMLResponse(text, status, _HEADERS)
        if request.query_params.get("lang") in LANGUAGES:
            answer.set_cookie(_LANGUAGE_COOKIE, language, path="/", samesite="strict", httponly=True)
        return answer
