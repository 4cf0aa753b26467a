"""Manifests of exports: which files belong to one, with their digests, and who says so.

A manifest is an in-toto statement in a DSSE envelope (`privacy.log.statement`). Beside a file `NAME` it is called
`NAME.manifest.json`, in a directory of tiles `manifest.json`. It finds damage; when signed, it also names who made the
export. What the records prove does not rest on it.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from audit.opened import read_small
from privacy.errors import InputError, VerificationError
from privacy.log.export import EXPORT_CLAIM, MANIFEST, export_statement
from privacy.log.statement import STATEMENT_LIMIT_BYTES, encode_envelope, open_envelope

__all__ = ["MANIFEST", "ManifestCheck", "check_manifest", "digest_file", "load_seed", "manifest_of", "write_manifest"]

_PIECE_BYTES = 1 << 20
_SEED = re.compile(rb"[0-9a-f]{64}\n?")


@dataclass(frozen=True, slots=True)
class ManifestCheck:
    """What a manifest showed: its path, the files it names, the key that signed it (None: unsigned), the claim."""

    path: Path
    files: Mapping[str, str]
    signer: bytes | None
    claim: Mapping[str, object]


def manifest_of(path: Path) -> Path:
    """Return where the manifest of an export stands: inside a directory, beside a file."""
    return path / MANIFEST if path.is_dir() else path.with_name(f"{path.name}.{MANIFEST}")


def write_manifest(path: Path, claim: Mapping[str, object], seed: bytes | None) -> int:
    """Write the manifest of an export that is complete, and return the number of files in it.

    Raises:
        OSError: when a file cannot be read or written.
    """
    target = manifest_of(path)
    inside = sorted(each for each in path.rglob("*") if not each.is_dir()) if path.is_dir() else [path]
    folder = target.parent
    files = {each.relative_to(folder).as_posix(): digest_file(each) for each in inside if each != target}
    with target.open("xb") as stream:
        stream.write(encode_envelope(export_statement(files, claim), seed))
    return len(files)


def check_manifest(target: Path) -> ManifestCheck:
    """Check a manifest's signature and the digest of every file it names.

    Raises:
        InputError: `log-unreadable` when it cannot be read.
        VerificationError: `statement-malformed`, `statement-signature`, or `manifest-mismatch` for a file that is
            missing, differs, lies elsewhere, or stands in the manifest's directory without being named.
    """
    statement, signer = open_envelope(read_small(target, STATEMENT_LIMIT_BYTES))
    if statement.predicate_type != EXPORT_CLAIM:
        raise VerificationError("statement-malformed", f"{target}: is the manifest of something else")
    folder = target.parent
    for name, digest in statement.files.items():
        path = folder / name
        if ".." in Path(name).parts or Path(name).is_absolute() or path.is_symlink() or not path.is_file():
            raise VerificationError("manifest-mismatch", f"{path}: is named in the manifest and is not there")
        if digest_file(path) != digest:
            raise VerificationError("manifest-mismatch", f"{path}: was changed since the manifest was written")
    if target.name == MANIFEST:
        found = {each.relative_to(folder).as_posix() for each in folder.rglob("*") if not each.is_dir()}
        surplus = found - set(statement.files) - {MANIFEST}
        if surplus:
            raise VerificationError("manifest-mismatch", f"{folder / min(surplus)}: is not in the manifest")
    return ManifestCheck(target, statement.files, signer, statement.predicate)


def digest_file(path: Path) -> str:
    """Return 64 hex digits of SHA-256 over a file."""
    state = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE_BYTES):
            state.update(piece)
    return state.hexdigest()


def load_seed(path: Path) -> bytes:
    """Read an Ed25519 seed, 64 hex digits in a file that only its owner may read.

    Raises:
        InputError: `secret-mode`, `sign-key-format` or `log-unreadable`.
    """
    content = read_small(path, 128)
    mode = path.stat().st_mode & 0o777
    if os.name == "posix" and mode & 0o077:
        raise InputError("secret-mode", f"{path}: found mode {mode:04o}, expected 0600; run: chmod 600 {path}")
    if not _SEED.fullmatch(content):
        raise InputError("sign-key-format", f"{path}: holds no signing key; expected 64 hex digits")
    return bytes.fromhex(content.decode("ascii"))
