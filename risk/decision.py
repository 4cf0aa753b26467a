"""From a score to a lending decision: approve, refer or decline, with limit, price, reasons and what it rests on.

Pure: the application, the day and the decision's name come in, a document goes out; the same input gives the same
document. Theory: the model estimates, the policy decides, and a machine decides only what is plain: whatever is
missing, near a cut-off, touched by a person or outside the bank's bounds is referred to a person. A hit in a required
screening declines; every applicant may ask for a person whatever the answer.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import floor
from typing import Any

from risk.applicant import Reading, RecordReader, Value
from risk.checks import Findings, checks, outcome
from risk.decision_document import Parts, parts_document
from risk.dictionary import Dictionary
from risk.errors import InputError
from risk.evidence import EvidenceReader, SourceNote
from risk.lending_policy import LendingPolicy, check_policy
from risk.limit import Amounts, credit_limit
from risk.portrait import PortraitReader, Reference
from risk.price import yearly_rate
from risk.reasons import Phrases, hints, reasons
from risk.row_scorer import RowScorer, Scored
from risk.score_bins import STEPS_PER_LOGIT
from risk.soft import soft_effect

__all__ = ["Application", "Decision", "Desk", "Installed", "decide"]

DOCUMENT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Installed:
    """A model ready to score rows: how it is named in answers, and the scorer.

    kind: `network`, `own` or `mixed`. sha256: of the model file, or of the head's for a mixed one. The score in points
    comes from the model's log-odds, PD and grade from those that the bank's own calibration makes of them.
    """

    kind: str
    recipe: str
    sha256: str
    scorer: RowScorer


@dataclass(frozen=True, slots=True)
class Application:
    """One application as it came in, with types checked and sizes bounded by the shell.

    record: field to value. requested: amount, None where none is named. soft: code to level. screening: check to
    `clear`, `hit` or `unknown`.
    """

    record: Mapping[str, object]
    sources: Sequence[SourceNote] = ()
    monthly_inflow: float | None = None
    other_exposure: float | None = None
    requested: int | None = None
    soft: Mapping[str, str] | None = None
    screening: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """Hold a decision: the document that answers, and the figures that are logged and monitored.

    pd: calibrated. grade: place in the master scale after soft information, 0 the best. challenger: its score, never
    part of the document, and its digest, empty for none. segments: values of the dictionary's segment fields.
    """

    document: dict[str, Any]
    outcome: str
    scored: Scored
    pd: float
    grade: int
    codes: tuple[str, ...]
    challenger: Scored | None
    challenger_sha256: str
    segments: dict[str, str]


class Desk:
    """Everything that decides, prepared once: dictionary, policy, champion, challenger and the portrait's reference."""

    def __init__(
        self,
        dictionary: Dictionary,
        policy: LendingPolicy,
        champion: Installed,
        challenger: Installed | None = None,
        reference: Reference | None = None,
    ) -> None:
        """Check that the parts belong together; raise `InputError` where they do not."""
        check_policy(policy, dictionary)
        if reference is not None and reference.dictionary != dictionary.digest():
            raise InputError("reference-dictionary", "reference file: was frozen over another dictionary; make it anew")
        if reference is not None and tuple(reference.asked.values()) != policy.portrait:
            raise InputError("reference-axes", "reference file: was frozen for other portrait fields; make it anew")
        fields = dictionary.model_fields
        self.dictionary, self.policy = dictionary, policy
        self.champion, self.challenger = champion, challenger
        self.reader = RecordReader(dictionary)
        self.evidence = EvidenceReader(fields, policy.evidence)
        self.phrases = Phrases(fields, policy.reasons)
        self.portrait = None if reference is None else PortraitReader(reference, fields)
        self.actionable = frozenset(
            self.reader.places[name] for name in policy.actionable if name in self.reader.places
        )
        self.revenue = self.reader.places.get(policy.limit.revenue_field)
        self.grade_cuts = policy.grades.scale().cuts
        self.segments = [(place, field) for place, field in enumerate(fields) if field.segment]
        self.review = {
            "available": True,
            "channel_en": policy.review.channel,
            "channel_zh": policy.review.channel_zh,
        }
        self.names = {
            "kind": champion.kind,
            "recipe": champion.recipe,
            "sha256": champion.sha256,
            "dictionary_sha256": dictionary.digest(),
            "policy_sha256": policy.digest(),
            "policy": f"{policy.name}/{policy.version}",
        }

    def grade(self, logit: float) -> int:
        """Return the place of calibrated log-odds in the master scale, 0 the best; as `MasterScale.grade`."""
        return bisect_right(self.grade_cuts, floor(logit * STEPS_PER_LOGIT))

    def read(self, application: Application, today: date) -> tuple[Reading, dict[str, SourceNote]]:
        """Return the applicant as the models see it, and the notes on its sources by name."""
        notes = {note.source: note for note in application.sources}
        return self.reader.read(application.record, self.evidence.unusable(notes, today)), notes


def decide(desk: Desk, application: Application, name: str, decided: str, today: date) -> Decision:
    """Return the decision on an application.

    name: of this decision. decided: the time that the document names, UTC. today: the day that ages are counted to.
    """
    policy, scorer = desk.policy, desk.champion.scorer
    reading, notes = desk.read(application, today)
    values = reading.values
    scored = scorer.score(values)
    chance, own_grade = scored.pd, desk.grade(scored.calibrated)
    soft = soft_effect(policy, application.soft or {})
    grade = min(max(own_grade - soft.grades, 0), len(desk.grade_cuts))
    revenue = None if desk.revenue is None else values[desk.revenue]
    limit = credit_limit(policy.limit, Amounts(revenue, application.monthly_inflow, application.other_exposure), grade)
    price = yearly_rate(policy.price, chance, grade)
    missing = sum(1 for place in scorer.used if values[place] is None) / max(len(scorer.used), 1)
    found = checks(policy, Findings(scored.score, missing, soft, limit, price, application.screening or {}))
    why, best = reasons(desk.phrases, scorer, values)
    lacking = policy.cutoff.approve + policy.cutoff.near - scored.score
    parts = Parts(
        scored=scored,
        pd=chance,
        grade=policy.grades.names[grade],
        model_grade=policy.grades.names[own_grade],
        soft=soft,
        limit=limit,
        price=price,
        portrait=None if desk.portrait is None else desk.portrait.draw(values),
        reasons=why,
        hints=hints(desk.phrases, scorer, values, best, (desk.actionable, max(lacking, 1))),
        checks=found,
    )
    ended = outcome(policy.cutoff, scored.score, found)
    head = {"version": DOCUMENT_VERSION, "decision_id": name, "decided_at": decided, "decision": ended}
    document = {
        **head,
        **parts_document(policy, parts, application.requested),
        "data_used": desk.evidence.used(notes, reading),
        "data_faults": dict(reading.faults),
        "sources_unknown": desk.evidence.unknown(notes),
        "human_review": desk.review,
        "model": desk.names,
    }
    shadow, sha256 = _shadow(desk, values)
    codes = tuple(each.code for each in why)
    return Decision(document, ended, scored, chance, grade, codes, shadow, sha256, _segments(desk, values))


def _shadow(desk: Desk, values: Sequence[Value]) -> tuple[Scored | None, str]:
    if desk.challenger is None:
        return None, ""
    return desk.challenger.scorer.score(values), desk.challenger.sha256


def _segments(desk: Desk, values: Sequence[Value]) -> dict[str, str]:
    """Return the applicant's segments as texts, empty where a value is missing."""
    return {field.name: desk.phrases.plain(place, values[place]) for place, field in desk.segments}
