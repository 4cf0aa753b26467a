"""Which code this node runs: the digest of its installed recipes and protocol.

It reads the packages' own files and nothing else. Theory: `privacy.code`.
"""

from importlib import resources

from privacy.code import code_digest

__all__ = ["installed_digest"]


def installed_digest() -> str:
    """Return 64 hex digits over the Python files of `risk` and `privacy.secagg`."""
    files = {
        f"{package}/{entry.name}": entry.read_bytes()
        for package in ("risk", "privacy.secagg")
        for entry in resources.files(package).iterdir()
        if entry.name.endswith(".py")
    }
    return code_digest(files)
