"""A run in one process on plain sums: what the demo's report is made from, without a network."""

import dataclasses
from hashlib import sha256
from pathlib import Path

import numpy as np
from creditmesh_demo.evaluation import BankModels
from creditmesh_demo.room_folder import open_room
from creditmesh_demo.run_record import JobRecord, RoundFact, RunRecord, Sent
from creditmesh_demo.self_check import OpenedSum

from node.dataset import read_dictionary
from node.source import read_table
from privacy.field import Plan
from risk.bank import bank_result
from risk.catalogue import recipe
from risk.job import Book, JobSpec, contribute, rounds
from risk.recipe import Ask, run_plain
from risk.table import Table


@dataclasses.dataclass(frozen=True)
class PlainRun:
    record: RunRecord
    tables: dict[str, Table]


def run_in_one_process(folder: Path, seed: int = 0) -> PlainRun:
    """Run the scorecard on plain sums over the room in `folder`."""
    opened_room = open_room(folder)
    dictionary = read_dictionary(opened_room.schema)
    tables = {bank: read_table(path, dictionary, bank) for bank, path in opened_room.tables.items()}
    members = tuple(tables)
    spec = JobSpec(
        "scorecard", 1, recipe("scorecard").parse_parameters({}), dictionary, len(members), 2**20, seed, 300_000
    )
    books = {bank: Book(table, spec) for bank, table in tables.items()}
    facts: list[RoundFact] = []
    opened: list[OpenedSum] = []
    sent: list[Sent] = []

    def add(ask: Ask) -> np.ndarray:
        plan = Plan(ask.length, ask.word_bits, ask.bound, len(members))
        words = plan.encode(np.zeros(ask.length, dtype=np.int64))
        for book in books.values():
            words += plan.encode(contribute(ask, book))
        number = len(facts) + 1
        facts.append(RoundFact(number, ask.name, members))
        opened.append(OpenedSum("job-1", number, members, sha256(plan.to_bytes(words)).hexdigest(), f"1/{number}"))
        sent.extend(Sent(bank, "job-1", number, "secagg.upload", plan.size_bytes) for bank in members)
        return plan.decode(words)

    outcome = run_plain(rounds(spec), add)
    results = {bank: bank_result(book, outcome) for bank, book in books.items()}
    job = JobRecord(
        recipe="scorecard",
        job="job-1",
        state="done",
        reason="",
        spec=spec,
        members=members,
        left_out={},
        excluded=(),
        outcome={
            "metrics": outcome.metrics.to_document(), "seconds": 1.25, "round_ms_median": 12.5, "dropouts": 0,
        },
        rounds=tuple(facts),
        opened=tuple(opened),
        reported={bank: result.to_report() for bank, result in results.items()},
        network=outcome.model,
        models={bank: BankModels(result.own, result.partner, result.head) for bank, result in results.items()},
    )  # fmt: skip
    record = RunRecord(
        opened_room.name, seed, "2030-01-02 03:04 UTC", True, (job,), tuple(sent), dict.fromkeys(members, 7)
    )
    return PlainRun(record, tables)
