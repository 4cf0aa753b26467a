"""Write a model card out as Markdown or as one HTML page, in English, in Chinese, or in both.

It says nothing of its own. Theory: what comes from a file, such as a field's name or a person's pseudonym, is escaped
for the form it stands in, so a name cannot become a link, a script or a cell of its own; the page needs no script and
fetches nothing.
"""

import html
import re
from collections.abc import Sequence

from risk.model_card import ModelCard, Section
from risk.model_card_texts import Text

__all__ = ["LANGUAGES", "render_html", "render_markdown"]

LANGUAGES = ("en", "zh")
_MARKS = re.compile(r"([\\`*_{}\[\]<>()#+!|~-])")
_STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b}"
    "table{border-collapse:collapse;margin:1rem 0}th,td{border:1px solid #999;padding:.3rem .6rem;text-align:left;"
    "vertical-align:top;overflow-wrap:anywhere}th{background:#eee}"
)


def render_markdown(card: ModelCard, languages: Sequence[str] = LANGUAGES) -> bytes:
    """Return the card as Markdown in UTF-8, one language after the other."""
    lines: list[str] = []
    for language in languages:
        lines += [f"# {_mark(_in(card.title, language))}", ""]
        for section in card.sections:
            lines += _markdown(section, language)
    return "\n".join(lines).encode("utf-8")


def render_html(card: ModelCard, languages: Sequence[str] = LANGUAGES) -> bytes:
    """Return the card as one HTML page in UTF-8 that needs nothing else."""
    parts = "".join(_article(card, language) for language in languages)
    title = html.escape(_in(card.title, languages[0]))
    page = (
        f'<!doctype html>\n<html lang="{languages[0]}">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f'<meta name="viewport" content="width=device-width">\n<title>{title}</title>\n<style>{_STYLE}</style>\n'
        f"</head>\n<body>\n<main>\n{parts}</main>\n</body>\n</html>\n"
    )
    return page.encode("utf-8")


def _markdown(section: Section, language: str) -> list[str]:
    lines = [f"## {_mark(_in(section.title, language))}", ""]
    for sentence in section.sentences:
        lines += [_mark(_in(sentence, language)), ""]
    if section.points:
        lines += [*(f"- {_mark(_in(point, language))}" for point in section.points), ""]
    for place, row in enumerate(section.table):
        lines.append("| " + " | ".join(_mark(_in(cell, language)) for cell in row) + " |")
        if place == 0:
            lines.append("|" + " --- |" * len(row))
    return [*lines, ""] if section.table else lines


def _article(card: ModelCard, language: str) -> str:
    lines = [f'<article lang="{language}">', f"<h1>{_tag(card.title, language)}</h1>"]
    for section in card.sections:
        lines.append(f"<h2>{_tag(section.title, language)}</h2>")
        lines += [f"<p>{_tag(sentence, language)}</p>" for sentence in section.sentences]
        if section.points:
            lines += ["<ul>", *(f"<li>{_tag(point, language)}</li>" for point in section.points), "</ul>"]
        if section.table:
            head, *rows = section.table
            heads = "".join(f'<th scope="col">{_tag(cell, language)}</th>' for cell in head)
            lines += ["<table>", f"<thead><tr>{heads}</tr></thead>", "<tbody>"]
            lines += ["<tr>" + "".join(f"<td>{_tag(cell, language)}</td>" for cell in row) + "</tr>" for row in rows]
            lines += ["</tbody>", "</table>"]
    return "\n".join([*lines, "</article>\n"])


def _in(value: Text, language: str) -> str:
    return value.zh if language == "zh" else value.en


def _tag(value: Text, language: str) -> str:
    return html.escape(_in(value, language))


def _mark(value: str) -> str:
    return _MARKS.sub(r"\\\1", " ".join(value.split()))
