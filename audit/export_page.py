"""A log as one HTML page for a reader: the verification's result, the records, and a proof in every row.

The page loads nothing and runs nothing: its policy forbids all but its own style, which is named by digest. All that a
log says is escaped, and characters that hide or turn text are shown as their numbers. A page proves nothing by what it
says about itself; every row carries a proof that `creditmesh-audit prove --check` reads.
"""

import base64
import hashlib
import html
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from audit.opened import OpenLog
from audit.prover import prove_records, signed_head
from audit.screen import LIMITS, VALID, code_of
from privacy.errors import InputError, VerificationError
from privacy.log.canonical import encode
from privacy.log.checkpoint import Checkpoint
from privacy.log.instant import format_utc
from privacy.log.proof import LogProof
from privacy.log.record import decode_event
from privacy.log.verify import Report, verify_log

__all__ = ["PAGE_ROWS", "shown", "write_page"]

PAGE_ROWS = 5000
_STYLE = """
:root{color-scheme:light}
body{font:14px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#1b1b1b;background:#fff}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}
th,td{border-bottom:1px solid #ccc;padding:.3rem .5rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}
code,pre{font:12px/1.4 ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere}
.bad{color:#a00;font-weight:600}.good{color:#060;font-weight:600}
summary{cursor:pointer}
@media print{details{display:none}body{margin:0;max-width:none}}
"""
_LIMITS_ZH = (
    "本页不能证明:某件事确实被记录下来,以及日志中的参数属实。",
    "它只证明:在他人持有的最后一个检查点之前,已记录的内容没有被修改或删除。",
)


@dataclass(frozen=True, slots=True)
class _Rows:
    first: int
    last: int
    head: tuple[Checkpoint, bytes]

    @property
    def proved(self) -> frozenset[int]:
        return frozenset(range(self.first, min(self.last + 1, self.head[0].size)))


def shown(text: str) -> str:
    """Return text as markup in which nothing is markup, hidden or turned around."""
    plain = "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in text)
    return f"<bdi>{html.escape(plain, quote=True)}</bdi>"


def write_page(log: OpenLog, path: Path, first: int, last: int) -> int:
    """Write the page with records `first` to `last`, and return the number of rows.

    Raises:
        InputError: `range` for no rows or too many, `no-checkpoint`.
        VerificationError: `log-short` or of the chosen checkpoint.
        OSError: when the file exists or cannot be written.
    """
    if not 0 < last - first + 1 <= PAGE_ROWS:
        count = max(0, last - first + 1)
        raise InputError("range", f"a page holds 1 to {PAGE_ROWS} records, found {count}: give --first and --last")
    report = verify_log(log.source())
    rows = _Rows(first, last, signed_head(log.bare(), log.key))
    proofs = {proof.index: proof.encode().decode("utf-8") for proof in _proofs(log, rows)}
    with path.open("x", encoding="utf-8") as stream:
        stream.writelines(_page(log, report, rows, proofs))
    return last - first + 1


def _proofs(log: OpenLog, rows: _Rows) -> Iterator[LogProof]:
    return prove_records(log.events(), rows.head, rows.proved)


def _page(log: OpenLog, report: Report, rows: _Rows, proofs: dict[int, str]) -> Iterator[str]:
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode("utf-8")).digest()).decode("ascii")
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    title = f"Privacy log {html.escape(log.origin)} 隐私日志"
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
    yield '<meta name="referrer" content="no-referrer">\n'
    yield f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
    yield f"<p>{report.size} records, root <code>{report.root.hex()}</code><br>"
    yield f"key <code>{shown(log.key.encode())}</code></p>\n"
    yield from _result(report)
    yield '<h2>Limits <span lang="zh">局限</span></h2>\n<ul>'
    yield "".join(f"<li>{html.escape(line)}</li>" for line in LIMITS)
    yield "".join(f'<li lang="zh">{html.escape(line)}</li>' for line in _LIMITS_ZH) + "</ul>\n"
    yield f'<h2>Records {rows.first} to {rows.last} <span lang="zh">记录</span></h2>\n<table>\n<thead><tr>'
    yield "".join(f"<th>{name}</th>" for name in ("no. 序号", "time UTC 时间", "kind 类型", "job 任务", "content 内容"))
    yield "</tr></thead>\n<tbody>\n"
    for encoded in islice(log.events(), rows.first, rows.last + 1):
        yield _row(encoded, proofs)
    yield "</tbody>\n</table>\n</body>\n</html>\n"


def _result(report: Report) -> Iterator[str]:
    good = code_of(report) == VALID
    verdict = '<span class="good">valid 有效</span>' if good else '<span class="bad">not valid 未通过</span>'
    yield f'<h2>Verification <span lang="zh">验证</span>: {verdict}</h2>\n'
    yield "<p>As this page was written; check it yourself with <code>creditmesh-audit verify</code>.</p>\n<table>\n"
    for step in report.steps:
        mark = ' class="bad"' if step.status in ("failed", "rolled-back") else ""
        cells = f"<td>{step.number}</td><td>{step.name}</td><td{mark}>{step.status}</td><td>{shown(step.detail)}</td>"
        yield f"<tr>{cells}</tr>\n"
    yield "</table>\n"


def _row(encoded: bytes, proofs: dict[int, str]) -> str:
    try:
        event = decode_event(encoded)
    except VerificationError as error:
        return f'<tr><td class="bad" colspan="5">{shown(error.message)}</td></tr>\n'
    content = encode(dict(event.body)).decode("utf-8")
    proof = proofs.get(event.seq)
    tail = f"<details><summary>proof 证明</summary><pre>{html.escape(proof)}</pre></details>" if proof else ""
    cells = (str(event.seq), shown(format_utc(event.utc_us)), shown(event.kind), shown(event.job))
    row = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr id="r{event.seq}">{row}<td><code>{shown(content)}</code>{tail}</td></tr>\n'
