"""The digest of the code that derives requests: what every side compares before a job.

It reads no file: contents come in. Theory: whoever runs another generator derives other requests and is refused in the
first round; the digest in the manifest says so before the job, in words that name the cause.
"""

from collections.abc import Mapping

from privacy.digest import digest

__all__ = ["code_digest"]


def code_digest(files: Mapping[str, bytes]) -> str:
    """Return 64 hex digits over the names and contents of source files, in order of their names."""
    parts: list[bytes] = []
    for name in sorted(files):
        parts += [name.encode(), files[name]]
    return digest("code", *parts).hex()
