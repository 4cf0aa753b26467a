"""The list of a pack's digests, and archives of it with the same bytes every time.

It reads and writes no file: archives are built in memory. Theory: a zip archive holds times and an order; both are
fixed here, so two packs of the same records are equal byte for byte and one SHA-256 names them. A spreadsheet is such
an archive too, in which the program that wrote it notes the moment.
"""

import hashlib
import io
import re
import zipfile
from collections.abc import Mapping

__all__ = ["SUMS", "digest_list", "stilled", "zipped"]

SUMS = "SHA256SUMS"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MOMENT = re.compile(rb"(<dcterms:(created|modified)[^>]*>)[^<]*(</dcterms:)")


def digest_list(files: Mapping[str, bytes]) -> bytes:
    """Return lines as `sha256sum` writes and checks them, by name."""
    lines = [f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)]
    return "".join(lines).encode("utf-8")


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Return a zip archive of the files, in order of their names and without a time."""
    return _archive({name: files[name] for name in sorted(files)})


def stilled(archive: bytes) -> bytes:
    """Return a spreadsheet's archive without the moment at which it was written."""
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        parts = {name: source.read(name) for name in source.namelist()}
    core = "docProps/core.xml"
    if core in parts:
        parts[core] = _MOMENT.sub(rb"\g<1>1980-01-01T00:00:00Z\g<3>", parts[core])
    return _archive(parts)


def _archive(parts: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as target:
        for name, content in parts.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type, entry.external_attr, entry.create_system = zipfile.ZIP_DEFLATED, 0o644 << 16, 3
            target.writestr(entry, content)
    return stream.getvalue()
