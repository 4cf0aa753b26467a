"""What a bank keeps of a job so that an auditor can recompute its part of a round: manifest, opened sums, own headers.

It decides nothing and sends nothing. Theory: a part follows from the rows, the recipe's code, the manifest and the sums
opened before; what the bank bound itself to is in the header that left. Rows stay where they are and are named by a
digest; the rest is here, a folder a job. Records are appended and not synced: what a crash takes is missed later, never
wrong, because every upload's binding covers all sums before it and the log holds each header's digest.

Files of `jobs/<job>/` (0600): `job.json`; `sums`, one record an opened sum; `uploads`, one record an upload that left,
with the key of its noise: who reads that key and sees the part could take the noise off, so it never leaves the bank.
A record is a line of JSON, then as many bytes as it says.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from node.result import write_whole
from privacy.digest import sha256
from privacy.errors import InputError, PeerError, RefusalError, VerificationError
from privacy.manifest import Manifest, decode_manifest
from privacy.messages import CatchUp, Message
from privacy.outgoing import Outgoing
from privacy.secagg.history import OpenedSum
from privacy.wire import decode_packet

__all__ = ["Archive", "KeptJob", "KeptSum"]

_LONGEST_LINE = 4096


@dataclass(frozen=True, slots=True)
class KeptSum:
    """An opened sum as it was kept: its round, the binding and cohort digest of its position, its words."""

    round: int
    bound: bytes
    cohort_sha256: bytes
    vector: bytes


@dataclass(frozen=True, slots=True)
class KeptJob:
    """A job's folder, for reading. dataset, code_sha256: 64 hex digits each, of the rows and code of its time."""

    folder: Path
    manifest: Manifest
    dataset: str

    def sums(self) -> Iterator[KeptSum]:
        """Yield the opened sums in order of their rounds; stop where one is missing or damaged."""
        for line, content in _records(self.folder / "sums"):
            try:
                kept = KeptSum(line["round"], bytes.fromhex(line["bound"]), bytes.fromhex(line["cohort"]), content)
                whole = sha256(content).hex() == line["sha256"]
            except (KeyError, TypeError, ValueError):
                return
            if not whole:
                return
            yield kept

    def uploads(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield the signed headers of the uploads that left, each with the key of its noise, empty for none."""
        for line, content in _records(self.folder / "uploads"):
            yield content, bytes.fromhex(str(line.get("noise_key", "")))


class Archive:
    """Write the folders of jobs under a node's state folder; one job at a time."""

    def __init__(self, state: Path, dataset: str) -> None:
        """dataset: 64 hex digits over the table and the dictionary in use."""
        self._jobs = state / "jobs"
        self._dataset = dataset
        self._job = ""
        self._kept: list[str] = []

    def begin(self, manifest: Manifest) -> None:
        """Open a job's folder, or go on with it after a restart.

        A job id that this bank knows with another manifest raises `RefusalError`: its votes and counts would be mixed.
        """
        folder = self._jobs / manifest.job
        document = {"manifest": manifest.encode().decode("ascii"), "dataset": self._dataset}
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not (folder / "job.json").exists():
                write_whole(folder / "job.json", json.dumps(document, indent=1).encode("ascii"))
            for name in ("sums", "uploads"):
                _mend(folder / name)
        except OSError as error:
            raise _fault(folder, error) from error
        if self.read(manifest.job).manifest != manifest:
            raise RefusalError("job-renamed", f"job {manifest.job} was run here before under another manifest")
        self._job = manifest.job
        self._kept = [sha256(kept.vector).hex() for kept in KeptJob(folder, manifest, self._dataset).sums()]

    def keep_sum(self, opened: OpenedSum) -> None:
        """Keep an opened sum; one that differs from what this bank has kept of its round raises `VerificationError`."""
        digest = sha256(opened.vector).hex()
        if opened.round <= len(self._kept):
            if self._kept[opened.round - 1] != digest:
                raise VerificationError("sum-changed", f"round {opened.round} is shown with another sum than before")
            return
        if opened.round == len(self._kept) + 1:
            line = {"round": opened.round, "bound": opened.bound.hex(), "cohort": opened.cohort_sha256.hex(),
                    "sha256": digest}  # fmt: skip
            self._write("sums", line, opened.vector)
            self._kept.append(digest)

    def has_sum(self, message: Message, rounds: int) -> bool:
        """Say whether a catch-up shows a sum among the first `rounds` that this process learned from.

        One that differs from what this bank has kept of its round raises `VerificationError`.
        """
        if not isinstance(message, CatchUp) or message.opened.round > rounds:
            return False
        if self._kept[message.opened.round - 1] != message.opened.sum_sha256.hex():
            raise VerificationError(
                "sum-changed", f"round {message.opened.round} is shown with another sum than before"
            )
        return True

    def is_done(self, job: str) -> bool:
        """Say whether this bank has the result of a job that ended well."""
        path = self._jobs / job / "result.json"
        try:
            return bool(json.loads(path.read_text("utf-8"))["state"] == "done")
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def keep_upload(self, outgoing: Outgoing, noise_key: bytes = b"") -> None:
        """Keep the signed header of an upload that is about to leave, and the key of the noise in it."""
        line = {"msg_id": outgoing.msg_id} | ({"noise_key": noise_key.hex()} if noise_key else {})
        self._write("uploads", line, decode_packet(outgoing.message).signed)

    def read(self, job: str) -> KeptJob:
        """Return what was kept of a job; `InputError` if this bank never sat in it."""
        folder = self._jobs / job
        unknown = InputError("job-unknown", f"{self._jobs}: nothing is kept of a job {job!r}")
        if not (folder / "job.json").is_file():
            raise unknown
        try:
            document = json.loads((folder / "job.json").read_text("ascii"))
            kept = KeptJob(folder, decode_manifest(document["manifest"].encode("ascii")), str(document["dataset"]))
        except (PeerError, ValueError, KeyError, TypeError, AttributeError):
            raise InputError("archive-malformed", f"{folder}/job.json: not the file that this node wrote") from None
        if kept.manifest.job != job:
            raise unknown
        return kept

    def _write(self, name: str, line: Mapping[str, object], content: bytes | memoryview) -> None:
        path = self._jobs / self._job / name
        head = json.dumps({**line, "bytes": len(content)}, sort_keys=True).encode("ascii") + b"\n"
        try:
            _append(path, head, content)
        except OSError as error:
            raise _fault(path, error) from error


def _append(path: Path, *parts: bytes | memoryview) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.writelines(parts)


def _records(path: Path) -> Iterator[tuple[Mapping[str, Any], bytes]]:
    if path.exists():
        with path.open("rb") as stream:
            yield from _whole_records(stream)


def _whole_records(stream: BinaryIO) -> Iterator[tuple[Mapping[str, Any], bytes]]:
    """Yield lines and contents; a record that is not whole ends the file."""
    while head := stream.readline(_LONGEST_LINE):
        try:
            line = json.loads(head)
            content = stream.read(int(line["bytes"]))
        except (ValueError, KeyError, TypeError):
            return
        if len(content) != line["bytes"]:
            return
        yield line, content


def _mend(path: Path) -> None:
    """Cut off what a crash left half written, so that later records can be read."""
    if path.exists():
        end = 0
        with path.open("rb") as stream:
            for _ in _whole_records(stream):
                end = stream.tell()
        os.truncate(path, end)


def _fault(path: Path, error: OSError) -> InputError:
    reason = (error.strerror or type(error).__name__).lower()
    return InputError("archive-unusable", f"{path}: cannot be written ({reason}); nothing is sent without it")
