"""The coordinator's privacy log: records, a record's proof of inclusion, and an export for an offline verifier."""

import base64
import hashlib
import json
import tempfile
from collections.abc import Iterator

from starlette.responses import Response, StreamingResponse

from coordinator.console.visit import Visit
from coordinator.export import side_files
from privacy.log.export import export_lines, read_parts
from privacy.log.kinds import KINDS
from privacy.log.record import Event

__all__ = ["detail", "export", "gist", "listing", "proof"]

# Keys of a body that tell a record from its neighbours, in the order in which they are read.
_TELLING = (
    *("action", "member", "class", "evidence", "resource", "decision", "from", "to", "payload_kind", "bytes"),
    *("origin", "size", "version", "status", "who"),
)
CHUNK = 1 << 18
IN_MEMORY = 8 << 20


def listing(visit: Visit) -> Response:
    """Draw records, newest first, of all kinds or one, of all jobs or one."""
    kind, job, before = (visit.query.get(name, "").strip() for name in ("kind", "job", "before"))
    below = int(before) if before.isascii() and before.isdigit() and len(before) < 16 else None
    reader = visit.desk.log
    page = reader.page(below, (kind,) if kind in KINDS else (), job) if reader.exists else None
    head = reader.head() if reader.exists else None
    gists = {event.seq: gist(event) for event in page.events} if page else {}
    return visit.page(
        "log.html.j2", gists=gists, page=page, head=head, kind=kind, job=job, below=below, kinds=sorted(KINDS)
    )


def gist(event: Event) -> str:
    """Return what tells a record from others of its kind, at most 120 characters; "" where nothing does."""
    parts = [str(event.body[name]) for name in _TELLING if event.body.get(name) not in (None, "")]
    text = " · ".join(parts)
    return text if len(text) <= 120 else text[:119] + "…"


def detail(visit: Visit) -> Response:
    """Draw one record and how to check that it is in the log."""
    index = int(visit.path["index"])
    event = visit.desk.log.event(index)
    return visit.page("log_record.html.j2", event=event, body=dict(event.body), index=index)


def proof(visit: Visit) -> Response:
    """Return a record with its inclusion proof as one JSON file."""
    found = visit.desk.log.inclusion(int(visit.path["index"]))
    origin, vkey = visit.desk.log.names
    document = {
        "format": "creditmesh-inclusion/1",
        "origin": origin,
        "vkey": vkey,
        "index": found.index,
        "event": found.encoded.decode("utf-8"),
        "path": [base64.b64encode(step).decode("ascii") for step in found.path],
        "checkpoint": found.checkpoint.decode("utf-8"),
    }
    name = f"creditmesh-record-{found.index}.json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(json.dumps(document, ensure_ascii=False, indent=1), 200, headers, "application/json")


def export(visit: Visit) -> Response:
    """Return the whole log as JSON lines; its digest is noted for the log before the first byte leaves."""
    reader = visit.desk.log
    origin, vkey = reader.names
    digest = hashlib.sha256()
    spool = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - read and closed while it is sent
    with reader.exporting() as database:
        for line in export_lines(read_parts(database, origin, vkey, side_files(visit.desk.config.state.dir))):
            digest.update(line)
            spool.write(line)
    visit.note("export", f"log {origin} sha256:{digest.hexdigest()}")
    spool.seek(0)

    def chunks() -> Iterator[bytes]:
        with spool:
            while chunk := spool.read(CHUNK):
                yield chunk

    headers = {
        "Content-Disposition": 'attachment; filename="coordinator-log.jsonl"',
        "X-Content-SHA256": digest.hexdigest(),
    }
    return StreamingResponse(chunks(), 200, headers, "application/x-ndjson")
