"""The model card: what a model is for, what it rests on, how good it is, and what it must not be used for.

It reads no file and measures nothing: every figure comes from the job's own records (`risk.dossier`). Theory: after
Mitchell et al. (2019, "Model Cards for Model Reporting"), with what bank supervision asks of model documents beside it
(purpose, data, performance, limits, approvals). A figure that is not known is said to be not known. Each text is given
in English and Chinese; `risk.model_card_page` writes them out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from risk.card import Scorecard
from risk.dossier import Dossier
from risk.model_card_texts import (
    ANSWERS,
    BANDS,
    DIMENSIONS,
    NOT_FOR,
    REASONS,
    ROLES,
    SELECTIONS,
    STATES,
    Text,
    say,
    text,
)

__all__ = ["ModelCard", "Section", "card_of"]


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the card: a title, sentences, and a table whose first row is its head (empty for none)."""

    title: Text
    sentences: tuple[Text, ...] = ()
    table: tuple[tuple[Text, ...], ...] = ()
    points: tuple[Text, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A title and its sections."""

    title: Text
    sections: tuple[Section, ...]


def card_of(dossier: Dossier) -> ModelCard:
    """Return the card of a model."""
    kind = dossier.model.recipe.partition("/")[0]
    title = say("title", kind=kind, sha=dossier.sha256[:16])
    sections = (
        _purpose(dossier),
        _not_for(),
        _rows(dossier),
        _fields(dossier),
        _dropped(dossier),
        _figures(dossier),
        *_validated(dossier),
        _privacy(dossier),
        _sign_off(dossier),
        _lineage(dossier),
        *(() if dossier.own is None else (_own(dossier.own),)),
    )
    return ModelCard(title, sections)


def _purpose(dossier: Dossier) -> Section:
    lineage, dictionary = dossier.lineage or {}, dossier.dictionary
    roles = [ROLES[role] for role in dossier.aliases]
    now = roles[0] if roles else (ROLES["released"] if dossier.released else ROLES["pending"])
    sentences = [say("purpose", purpose=str(lineage.get("purpose", "credit-risk-model"))), say("status", role=now)]
    if dictionary is not None:
        target = dictionary.target
        sentences.append(say("target", meaning=target.definition or target.meaning))
        if target.window_months is not None:
            sentences.append(say("window", months=str(target.window_months)))
    return Section(say("purpose-title"), tuple(sentences))


def _not_for() -> Section:
    return Section(say("not-for-title"), points=NOT_FOR)


def _rows(dossier: Dossier) -> Section:
    lineage, training, metrics = dossier.lineage or {}, dossier.training, dossier.metrics or {}
    members = list(lineage.get("members", []))
    window = lineage.get("window")
    months = say("unknown") if not window else text(f"{window['first']} – {window['last']}")
    facts = [
        (say("members"), text(f"{len(members)}: {', '.join(members)}" if members else "-")),
        (say("training-rows"), _number(training.get("rows"))),
        (say("training-bads"), _number(training.get("bads"))),
        (say("holdout-rows"), _number(metrics.get("rows"))),
        (say("holdout-bads"), _number(metrics.get("bads"))),
        (say("months"), months),
    ]
    if dossier.dictionary is not None:
        named = dossier.dictionary
        facts.append((say("dictionary"), text(f"{named.title} ({named.name}, {named.version})")))
    noisy = (say("rows-noisy"),) if lineage.get("privacy") == "dp" else ()
    return Section(say("rows-title"), (say("rows-stay"), *noisy), ((say("fact"), say("value")), *facts))


def _fields(dossier: Dossier) -> Section:
    model = dossier.model
    head = (say("field"), say("meaning"), say("dimension"), say("value-iv"))
    if isinstance(model, Scorecard):
        found = [(item.name, item.dimension, f"{item.iv:.4f}") for item in model.fields]
    else:
        stated = {each.name: each.dimension for each in dossier.dictionary.fields} if dossier.dictionary else {}
        found = [(each.name, stated.get(each.name, "-"), "-") for each in model.codings]
    rows = [
        (text(name), _meaning(dossier, name), DIMENSIONS.get(dimension, text(dimension)), text(value))
        for name, dimension, value in sorted(found, key=lambda each: (-_float(each[2]), each[0]))
    ]
    return Section(say("fields-title"), (say("fields-count", count=str(len(rows))),), (head, *rows) if rows else ())


def _dropped(dossier: Dossier) -> Section:
    dropped: Sequence[tuple[str, str]] = getattr(dossier.model, "dropped", ())
    if not dropped:
        return Section(say("dropped-title"), (say("dropped-none"),))
    rows = [(text(name), _meaning(dossier, name), REASONS.get(why, text(why))) for name, why in dropped]
    return Section(say("dropped-title"), (), ((say("field"), say("meaning"), say("why")), *rows))


def _figures(dossier: Dossier) -> Section:
    metrics = dossier.metrics
    if not metrics:
        return Section(say("figures-title"), (say("figures-none"),))
    names = ("auc", "gini", "ks", "brier", "ece", "psi")
    rows = [(say(f"figure-{name}"), _decimal(metrics.get(name))) for name in names]
    sentences = [say("figures-of", rows=_plain(metrics.get("rows")), bads=_plain(metrics.get("bads")))]
    if metrics.get("auc_deviation") is not None:
        sentences.append(say("figures-noise", deviation=f"{metrics['auc_deviation']:.4f}"))
    until = dict(dossier.training.get("parameters", {})).get("train_until")
    sentences.append(say("figures-later", until=str(until)) if until else say("figures-limit"))
    sentences.append(say("figures-below") if dossier.validations else say("figures-unaudited"))
    return Section(say("figures-title"), tuple(sentences), ((say("figure"), say("value")), *rows))


def _validated(dossier: Dossier) -> list[Section]:
    """Return the sections of every validation."""
    found = []
    for job, report in dossier.validations:
        found += [_validation(dossier, job, report), _segments(dossier, job, report)]
        if report.get("comparison"):
            found.append(_comparison(dossier, job, report))
    return found


def _validation(dossier: Dossier, job: str, report: Mapping[str, Any]) -> Section:
    entry, rows = dossier.entry(report), report["rows"]
    scores, drift = entry["scores"], entry.get("drift") or {}
    sentences = [
        say(
            "validation-of",
            job=job,
            selection=SELECTIONS.get(rows["selection"], text(str(rows["selection"]))),
            rows=_plain(rows["selected"]),
        )
    ]
    grades = entry.get("grades")
    if grades:
        sentences.append(say("grades-rise") if grades["monotone"] else say("grades-fall"))
    table = [(say(f"figure-{name}"), _decimal(scores.get(name))) for name in ("auc", "gini", "ks", "brier", "ece")]
    table.append((say("figure-psi"), _decimal(drift.get("psi"))))
    moved = [each for each in entry.get("fields", ()) if each["psi"] is not None]
    if moved:
        worst = max(moved, key=lambda each: (each["psi"], each["name"]))
        sentences.append(
            say("moved-most", field=str(worst["name"]), psi=f"{worst['psi']:.4f}", band=BANDS[worst["band"]])
        )
    shown = [each for each in entry.get("stability", ()) if not each["withheld"] and each["auc"] is not None]
    if shown:
        low = min(shown, key=lambda each: (each["auc"], each["period"]))
        sentences.append(say("stability", count=str(len(shown)), period=str(low["period"]), auc=f"{low['auc']:.4f}"))
    return Section(say("validation-title"), tuple(sentences), ((say("figure"), say("value")), *table))


def _segments(dossier: Dossier, job: str, report: Mapping[str, Any]) -> Section:
    """Return how the segments of a validation compare; a withheld one is too small to be shown."""
    found = dossier.entry(report).get("fairness") or ()
    if not found:
        return Section(say("segments-title"), (say("segments-none", job=job),))
    head = (say("field"), say("segment"), say("rows"), say("approval-ratio"), say("figure-auc"), say("four-fifths"))
    rows = []
    for field in found:
        for each in (each for each in field["segments"] if not each["withheld"]):
            passes = say("unknown") if each["passes"] is None else say("yes") if each["passes"] else say("no")
            name = (text(str(field["field"])), text(str(each["level"])))
            ratio, auc = _decimal(each["approval_ratio"]), _decimal(each["auc"])
            rows.append((*name, text(_plain(each["rows"])), ratio, auc, passes))
        hidden = sum(bool(each["withheld"]) for each in field["segments"])
        if hidden:
            rows.append((text(str(field["field"])), say("withheld", count=str(hidden)), *(text("-"),) * 4))
    return Section(say("segments-title"), (say("segments-of", job=job),), (head, *rows))


def _comparison(dossier: Dossier, job: str, report: Mapping[str, Any]) -> Section:
    """Return what the promotion rule found between the two models of a validation; banks decide, not the rule."""
    verdict = report["comparison"]["promotion"]
    role = next(role for role, entry in report["models"].items() if entry["sha256"] == dossier.sha256)
    rows = []
    for each in verdict["reasons"]:
        holds = say("unknown") if each["holds"] is None else say("yes") if each["holds"] else say("no")
        rows.append((text(str(each["code"])), holds, Text(str(each["text"]), str(each["text_zh"]))))
    sentences = (say("compared", job=job, role=ROLES[role]), ANSWERS[verdict["answer"]])
    return Section(say("compared-title"), sentences, ((say("test"), say("met"), say("found")), *rows))


def _privacy(dossier: Dossier) -> Section:
    lineage = dossier.lineage or {}
    if lineage.get("privacy") == "dp":
        promise = say("privacy-dp", epsilon=str(lineage["epsilon"]), delta=str(lineage["delta"]))
    elif lineage.get("privacy") == "exact":
        promise = say("privacy-exact")
    else:
        promise = say("privacy-unknown")
    return Section(say("privacy-title"), (say("privacy-sums"), promise))


def _sign_off(dossier: Dossier) -> Section:
    if not dossier.proposals:
        return Section(say("signed-title"), (say("signed-none"),))
    head = (say("proposal"), say("role"), say("state"), say("bank"), say("vote"), say("who"), say("when"))
    rows = []
    for proposal in dossier.proposals:
        state = STATES.get(proposal["state"], text(str(proposal["state"])))
        if proposal["rollback"]:
            state = Text(f"{state.en}, back to an earlier one", f"{state.zh}（回退）")
        first = (text(str(proposal["number"])), ROLES[proposal["role"]], state)
        voices = [(voice, say("approved")) for voice in proposal["approved"]]
        voices += [(voice, say("rejected", reason=str(voice.get("reason", "")))) for voice in proposal["rejected"]]
        rows += [
            (*first, text(str(voice["member"])), vote, text(str(voice["who"])), text(str(voice["signed"])))
            for voice, vote in voices
        ]
        if not voices:
            rows.append((*first, text("-"), text("-"), text("-"), text("-")))
    needs = tuple(
        say("signed-needs", number=str(each["number"]), quorum=str(each["quorum"]), members=str(each["members"]))
        for each in dossier.proposals
    )
    return Section(say("signed-title"), needs, (head, *rows))


def _lineage(dossier: Dossier) -> Section:
    lineage = dossier.lineage
    if lineage is None:
        return Section(say("lineage-title"), (say("lineage-none"),))
    names = ("model", "parent", "job", "consortium", "manifest_sha256", "dictionary_sha256", "code_sha256", "recipe",
             "recipe_version", "seed", "holdout_ppm", "rounds", "epsilon", "figures_sha256")  # fmt: skip
    rows = [(text(name), text("-" if lineage.get(name) is None else str(lineage[name]))) for name in names]
    rows += [(text(f"parameters.{name}"), text(str(value))) for name, value in sorted(lineage["parameters"].items())]
    rows += [(text("validation"), text(job)) for job in lineage["validations"]]
    return Section(say("lineage-title"), (say("lineage-by"),), ((say("fact"), say("value")), *rows))


def _own(own: Mapping[str, Any]) -> Section:
    names = sorted(name for name, value in own.items() if isinstance(value, int | float | str))
    rows = [
        (text(name), _decimal(own[name]) if isinstance(own[name], float) else text(str(own[name]))) for name in names
    ]
    return Section(say("own-title"), (say("own-stays"),), ((say("fact"), say("value")), *rows))


def _meaning(dossier: Dossier, name: str) -> Text:
    for item in dossier.dictionary.fields if dossier.dictionary else ():
        if item.name == name:
            return Text(item.text, item.text_zh or item.text)
    return text("-")


def _decimal(value: Any) -> Text:
    return say("unknown") if value is None else text(f"{value:.4f}")


def _number(value: Any) -> Text:
    return say("unknown") if not isinstance(value, int) else text(str(value))


def _plain(value: Any) -> str:
    return "?" if value is None else str(value)


def _float(value: str) -> float:
    return 0.0 if value == "-" else float(value)
