"""Which file may import what: the floors of the house as tables, and the reader of import statements.

The reader sees static imports anywhere in a file, inside functions too, and `import_module` with a literal name. It
does not see a name that is put together at run time.
"""

import ast
import re
import sys
from pathlib import Path

from tests.floors.tree import PACKAGES, package_files, parse

__all__ = ["import_findings", "imported_names", "purity_findings"]

# Packages of ours that each may import, besides itself.
OURS = {
    "creditmesh_wire": set(),
    "privacy": set(),
    "risk": set(),
    "audit": {"privacy"},
    "node": {"privacy", "risk"},
    "coordinator": {"privacy", "risk"},
    "creditmesh_demo": {"node", "coordinator", "audit", "privacy", "risk"},
}
# Packages of others that each may import, besides the standard library.
THEIRS = {
    "creditmesh_wire": {"google", "grpc"},
    "privacy": {"numpy", "cryptography"},
    "risk": {"numpy"},
    "audit": {"cryptography"},
    "node": {"numpy", "polars", "cryptography", "pydantic"},
    "coordinator": {"numpy", "cryptography", "pydantic", "sqlalchemy", "alembic"},
    "creditmesh_demo": {"numpy", "polars", "cryptography", "pydantic", "matplotlib", "jinja2", "markupsafe", "rich"},
}
# A module, and the only files that may import it; what stands here needs no place in the tables above.
ONLY_IN = {
    "torch": r"risk/(towers|tower_gradients|flower_link)\.py",
    "flwr": r"(risk/(towers|flower_link)|(node|coordinator)/flower_link)\.py",
    "grpc": r"((node|coordinator)/grpc_link\.py|creditmesh_wire/.*)",
    "google": r"(privacy/wire\.py|(node|coordinator)/(grpc_link|link_frames)\.py|creditmesh_wire/.*)",
    "creditmesh_wire": r"(privacy/wire\.py|(node|coordinator)/(grpc_link|link_frames)\.py|creditmesh_wire/.*)",
    "polars": r"(node|creditmesh_demo)/.*",
    "sqlalchemy": r"(coordinator/.*|node/(source_sql|connectors/.*)\.py)",
    "psycopg": r"coordinator/postgres\.py",
    "onnx": r"risk/export_onnx\.py",
    "risk.export_onnx": r"node/model_file\.py",
    "fastapi": r"(node/(scorer|page)|coordinator/console)/.*",
    "starlette": r"(node/(scorer|page)|coordinator/console)/.*",
    "uvicorn": r"(node/(scorer|page)|coordinator/console)/.*",
    "jinja2": r"(node/(scorer|page)|coordinator/console|creditmesh_demo)/.*",
    "markupsafe": r"(node/(scorer|page)|coordinator/console|creditmesh_demo)/.*",
    "prometheus_client": r"(coordinator/metrics\.py|coordinator/console/.*|node/metrics\.py|node/scorer/.*)",
    "openpyxl": r"(node|coordinator|creditmesh_demo)/evidence[a-z_]*\.py",
    "node.grpc_link": r"(node/gate\.py|creditmesh_demo/.*)",
    "node.flower_link": r"(node/gate\.py|creditmesh_demo/.*)",
    "risk.towers": r"risk/(catalogue|flower_link)\.py|creditmesh_demo/.*",
}
# The auditor's floor runs with cryptography alone, so what it reads must too.
AUDITOR_READS = ("privacy.log", "privacy.errors", "privacy.accountant")
PURE = ("privacy", "risk")
PURE_STDLIB = {
    *("__future__", "abc", "array", "base64", "binascii", "bisect", "collections", "contextlib", "copy", "csv"),
    *("dataclasses", "datetime", "decimal", "enum", "fractions", "functools", "hashlib", "heapq", "hmac", "importlib"),
    *("inspect", "io", "itertools", "json", "math", "numbers", "operator", "re", "statistics", "string", "struct"),
    *("textwrap", "types", "typing", "unicodedata", "warnings", "zlib"),
}
# Locks and queues are no I/O, nor are XML and archives that are built in memory, or text that is escaped.
HARMLESS = {
    "privacy/log/appender.py": {"threading"},
    "risk/flower_link.py": {"threading", "queue"},
    "risk/export_pmml.py": {"xml"},
    "risk/model_card_page.py": {"html"},
    "risk/pack_archive.py": {"zipfile"},
}
# Calls that reach for a file, the clock, the process or the machine's randomness without importing anything new.
IMPURE_CALLS = re.compile(
    r"^(open|input|print|exec|eval|breakpoint|io\.open"
    r"|(datetime\.)*(datetime|date)\.(now|today|utcnow)"
    r"|(np|numpy)\.(load|save|savez|savetxt|loadtxt|genfromtxt|fromfile|memmap)"
    r"|(np|numpy)\.random\.(?!default_rng|Generator|PCG64|Philox|SeedSequence)\w+"
    r"|\w+(PrivateKey|AESGCM|ChaCha20Poly1305|Fernet)\.generate(_key)?)$"
)


def imported_names(tree: ast.AST) -> list[tuple[int, str]]:
    """List (line, dotted name) of every import; `from a import b` gives `a` and `a.b`; a relative one has dots."""
    names: list[tuple[int, str]] = []
    for item in ast.walk(tree):
        if isinstance(item, ast.Import):
            names += [(item.lineno, each.name) for each in item.names]
        elif isinstance(item, ast.ImportFrom):
            source = "." * item.level + (item.module or "")
            names += [(item.lineno, source)] + [(item.lineno, f"{source}.{each.name}") for each in item.names]
        elif isinstance(item, ast.Call) and ast.unparse(item.func).split(".")[-1] in {"import_module", "__import__"}:
            names += [(item.lineno, each.value) for each in item.args if _is_text(each)]  # type: ignore[attr-defined]
    return names


def import_findings(root: Path) -> list[str]:
    """List every import that breaks the floors."""
    findings: set[str] = set()
    for where, path in package_files(root):
        for line, name in imported_names(parse(path)):
            reason = _reason(where, name)
            if reason:
                findings.add(f"{where}:{line}: {reason}")
    return sorted(findings)


def purity_findings(root: Path) -> list[str]:
    """List what a pure floor reaches for although bytes, time and randomness come in as arguments."""
    findings: list[str] = []
    for where, path in package_files(root, *PURE):
        tree = parse(path)
        for line, name in imported_names(tree):
            top = name.split(".")[0]
            if top in sys.stdlib_module_names and top not in PURE_STDLIB | HARMLESS.get(where, set()):
                findings.append(f"{where}:{line}: a pure floor imports {top}")
        for item in ast.walk(tree):
            if isinstance(item, ast.Call):
                call = ast.unparse(item.func)
                unseeded = call.endswith("default_rng") and not item.args and not item.keywords
                if IMPURE_CALLS.match(call) or unseeded:
                    findings.append(f"{where}:{item.lineno}: a pure floor calls {call}()")
    return sorted(set(findings))


def _is_text(item: ast.expr) -> bool:
    return isinstance(item, ast.Constant) and isinstance(item.value, str)


def _reason(where: str, name: str) -> str | None:
    package, top = where.split("/")[0], name.split(".")[0]
    if name.startswith("."):
        return f"imports {name}; imports are absolute"
    if top in {"tests", "deploy"}:
        return f"imports {name}; shipped code never sees tests or deploy"
    for module, allowed in ONLY_IN.items():
        if (name == module or name.startswith(module + ".")) and not re.fullmatch(allowed, where):
            return f"imports {name}; only {allowed} may"
    if top == package or top in sys.stdlib_module_names or top in ONLY_IN:
        return _auditor_reason(where, name)
    if top in PACKAGES:
        return _auditor_reason(where, name) if top in OURS[package] else f"imports {name}; {package} may not see {top}"
    if top not in THEIRS[package]:
        return f"imports {name}; {top} is not on {package}'s list"
    return _auditor_reason(where, name)


def _auditor_reason(where: str, name: str) -> str | None:
    top = name.split(".")[0]
    reads = tuple(module.replace(".", "/") for module in AUDITOR_READS)
    if where.startswith("audit/") and top == "privacy" and name != "privacy" and not name.startswith(AUDITOR_READS):
        return f"imports {name}; audit reads only {', '.join(AUDITOR_READS)}"
    if where.startswith(reads):
        if top == "numpy":
            return "imports numpy; the auditor has cryptography alone"
        if top == "privacy" and name != "privacy" and not name.startswith(AUDITOR_READS):
            return f"imports {name}; the auditor's modules see only {', '.join(AUDITOR_READS)}"
    return None
