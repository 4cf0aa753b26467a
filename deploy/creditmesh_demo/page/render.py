"""Turn a `RunView` into one self-contained HTML page.

The page loads nothing from anywhere: styles, drawings and the few lines of script are inside it. Theory: Jinja2 escapes
every value (autoescape), and only the drawings that `charts` made pass as markup.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from creditmesh_demo.page import charts
from creditmesh_demo.page.headline import headline, mean, statements
from creditmesh_demo.page.texts import DIMENSION_NAMES, LABELS, LANGUAGES, REASON_COLOURS, WHY, Language, say, signed
from creditmesh_demo.page.view import Curves, RecipeView, RunView

__all__ = ["draw", "render"]

TEMPLATES = Path(__file__).with_name("templates")
MEANS = ("auc_own", "auc_network", "auc_mixed", "auc_own_market")


def render(view: RunView, drawings: Mapping[str, Any]) -> str:
    """Return the page's HTML with the drawings that `draw` made; the same values give the same text."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["f"] = lambda pattern, value: pattern.format(value)
    environment.filters["groups"] = _groups
    environment.filters["signed"] = signed
    environment.filters["change"] = lambda value: f"{value + 0.0:+.3f}".replace("-0.000", "0.000").replace("-", "−")
    environment.filters["breakable"] = _breakable
    done = _done(view)
    lead = done[0] if done else None
    words = LABELS.get(lead.name, (lead.name, lead.name)) if lead else ("", "")
    means = {recipe.name: {key: mean(recipe.banks, key) for key in MEANS} for recipe in done}
    return environment.get_template("page.html.j2").render(
        view=view,
        say=say,
        why=WHY,
        reason_colours=REASON_COLOURS,
        dimension_names=DIMENSION_NAMES,
        done=done,
        lead=lead,
        lead_name={"en": words[0].lower(), "zh": words[1]},
        banks=list(view.report["members"]),
        rows=_rows(done),
        headline=headline(lead),
        statements=statements(lead, done[1:]) if lead else (),
        means=means.get(lead.name) if lead else None,
        recipe_means=means,
        left_out={bank: reason for recipe in view.recipes for bank, reason in recipe.left_out.items()},
        charts=drawings,
        cards={card.name: card for card in view.points.fields} if view.points else {},
        widest=_widest(view),
    )


def _rows(done: list[RecipeView]) -> int:
    if not done:
        return 0
    return sum(bank.figures["rows_train"] + bank.figures["rows_test"] for bank in done[0].banks)


def _widest(view: RunView) -> int:
    points = [abs(part.points) for card in view.points.fields for part in card.bins] if view.points else []
    return max([1, *points])


def _breakable(name: str) -> Markup:
    """Return a name that may be broken into lines after each underscore or dash."""
    return Markup("<wbr>").join(re.split(r"(?<=[_-])", name))


def _groups(curves: Curves) -> Iterator[tuple[float, float, int]]:
    columns = (curves.group_pd, curves.group_observed, curves.group_rows)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return iter(rows)


def _done(view: RunView) -> list[RecipeView]:
    return [recipe for recipe in view.recipes if recipe.state == "done" and recipe.entry]


def draw(view: RunView) -> dict[str, Any]:
    """Return the page's drawings, by name and language; they show nothing of the run's timing."""
    drawn: dict[str, Any] = {}
    done = _done(view)
    for recipe in done:
        network = recipe.entry["network"]["auc"] if recipe.entry else None
        drawn[recipe.name] = {
            "gain": _both(charts.gain, recipe.banks),
            "market": _both(charts.market, recipe.banks, network),
        }
        outside = (recipe.entry or {}).get("newcomer")
        if outside and outside["steps"]:
            drawn[recipe.name]["newcomer"] = _both(charts.newcomer, outside["steps"])
    curves = [(recipe.name, recipe.curves) for recipe in done if recipe.curves is not None]
    if curves:
        drawn["roc"] = _both(charts.roc, curves)
        drawn["ks"] = _both(charts.ks, curves[0][1])
        drawn["calibration"] = _both(charts.calibration, curves)
    if view.applicant is not None and view.points is not None:
        drawn["waterfall"] = _both(charts.waterfall, view.points.start, view.applicant)
    if any(item.points for item in view.prices):
        drawn["price"] = _both(charts.price, view.prices)
    banks = list(view.report["members"])
    if banks and view.sent:
        drawn["traffic"] = _both(charts.traffic, banks, view.sent)
    drawings: dict[str, Any] = _with_own_ids(drawn)
    return drawings


def _both(draw: Callable[..., str], *values: Any) -> dict[Language, str]:
    return {language: draw(*values, language) for language in LANGUAGES}


def _with_own_ids(drawings: Any, name: str = "chart") -> Any:
    """Return the drawings as markup, their ids prefixed by their place so that no two on the page are the same."""
    if isinstance(drawings, dict):
        return {key: _with_own_ids(value, f"{name}-{key}") for key, value in drawings.items()}
    # The drawing is our own SVG, in which matplotlib escaped every text.
    return Markup(re.sub(r'(id="|url\(#|xlink:href="#)', rf"\g<1>{name}-", drawings))  # noqa: S704
