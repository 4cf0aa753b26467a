"""Exports as JSON lines: every byte of a stored log, and the records that speak of exports."""

import hashlib
import json

from privacy.log.checkpoint import parse_checkpoint
from privacy.log.export import EXPORT_FORMAT, export_lines, export_statement, exported_entry, read_parts
from privacy.log.kinds import KINDS, fault_of
from tests.privacy.logs import ORIGIN, MemoryLog, egress


def filled() -> MemoryLog:
    log = MemoryLog()
    log.append(egress(1), egress(2))
    log.appender.defer([], [("msg-1", b'{"v":1}')], [(2, "— w AAAAAAAA\n")])
    log.append(egress(3))
    return log


def test_an_export_holds_every_byte_in_order() -> None:
    log = filled()
    parts = read_parts(log.database, ORIGIN, "key", [("rounds/a.jsonl", b'{"x":"\xc3\xa9"}')])
    encoded = list(export_lines(parts))
    lines = [json.loads(line) for line in encoded]
    assert lines[0] == {"format": EXPORT_FORMAT, "origin": ORIGIN, "vkey": "key"}
    assert [line["event"].encode() for line in lines if "event" in line] == log.events()
    notes = log.column("SELECT note FROM checkpoint ORDER BY size")
    assert [line["checkpoint"].encode() for line in lines if "checkpoint" in line] == notes
    assert {"msg_id": "msg-1", "receipt": '{"v":1}'} in lines
    assert {"size": 2, "cosignature": "— w AAAAAAAA\n"} in lines
    assert {"file": "rounds/a.jsonl", "line": '{"x":"é"}'} in lines
    assert lines[-1] == {"end": hashlib.sha256(b"".join(encoded[:-1])).hexdigest()}


def test_the_record_of_an_export_is_one_the_log_takes() -> None:
    log = filled()
    head, _ = parse_checkpoint(log.column("SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1")[0])
    entry = exported_entry("auditor-7", "log.jsonl", "ab" * 32, head)
    assert fault_of(entry.body, KINDS["audit.exported"]) is None
    assert log.append(entry) == [3]
    statement = export_statement({"log.jsonl": "ab" * 32}, {"rows": 3})
    assert statement.files == {"log.jsonl": "ab" * 32}
