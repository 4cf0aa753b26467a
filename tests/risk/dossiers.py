"""Dossiers of models that were really trained and really validated, on plain sums."""

import hashlib
import json
from functools import cache
from typing import Any

import numpy as np

from risk.book import Book
from risk.catalogue import recipe
from risk.dossier import Dossier
from risk.job import contribute, rounds
from risk.lineage import Ancestry, lineage_document
from risk.modelfile import encode_model
from risk.recipe import run_plain
from risk.spec import JobSpec
from tests.privacy.table import manifest_of, names_of
from tests.risk.rooms import category, flag, number, room_dictionary, room_tables

__all__ = ["HOSTILE", "dossier_of"]

HOSTILE = '=HYPERLINK("http://x","y")<script>alert(1)</script>|`[x](y)'


@cache
def dossier_of(name: str, validated: bool = False) -> Dossier:
    """Return the dossier of a model of that recipe, with a validation job or without."""
    dictionary = room_dictionary(
        number("turnover", (0, 1e12), "down", dimension="operating", text_zh="年营业额"),
        number("late_days", (0, 3650), "up", special=[-999, -1]),
        number("constant", (0, 10), "free"),
        flag("arrears", "up"),
        category("trade", 50, segment=True),
    )
    tables = room_tables(dictionary, (700, 600, 500, 400), seed=3)
    small = {"trees": 6, "depth": 2} if name == "trees" else {}
    spec = JobSpec(name, 1, recipe(name).parse_parameters(small), dictionary, 4, 1 << 16, 0, 300_000)

    def run(job: JobSpec) -> Any:
        books = [Book(table, job) for table in tables]
        return run_plain(rounds(job), lambda ask: np.sum([contribute(ask, book) for book in books], axis=0))

    learned = run(spec)
    file = encode_model(learned.model)
    sha256 = hashlib.sha256(file).hexdigest()
    reports = []
    if validated:
        wanted = recipe("validation").parse_parameters({"model": sha256})
        job = JobSpec("validation", 1, wanted, dictionary, 4, 1 << 16, 0, 300_000, models={sha256: file})
        reports.append(("job-2", run(job).report))
    metrics = learned.metrics.to_document()
    manifest = json.loads(manifest_of(names_of(4), recipe=name, parameters=dict(spec.parameters)).encode())
    ancestry = Ancestry(sha256, "bb" * 32, "cc" * 32, 12, metrics, None, [job for job, _ in reports])
    voice = {"member": "bank-000", "who": HOSTILE, "signed": "2026-01-02T03:04:05Z"}
    proposal = {"number": 3, "role": "champion", "state": "promoted", "rollback": True, "quorum": 3, "members": 4,
                "approved": [voice], "rejected": [{**voice, "member": "bank-001", "reason": "fairness"}]}  # fmt: skip
    return Dossier(
        sha256, file, lineage_document(manifest, ancestry), metrics, dictionary, tuple(reports), (proposal,),
        ("champion",), "2026-01-02T03:04:05Z", {"auc_own": 0.7, "chosen": "mixed", "note": HOSTILE},
    )  # fmt: skip
