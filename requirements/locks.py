"""Rewrite the hashed locks from `pyproject.toml`; run it as `make locks`.

It resolves every extra together once, so that one set of versions holds for the whole house, and then deals the
packages out: `base.lock` (everything but the towers, with the developer's tools), `towers.lock` (torch, Flower and
what only they need, installed on top without asking pip to resolve again), `towers-cuda.lock` (the libraries that
torch's default Linux build loads; its CPU build needs none of them) and `torch-cpu.lock` (that CPU build alone). Of
`base.lock` there are two excerpts for machines that run one thing: `coordinator.lock` and `node.lock`.
It names no registry: the resolver's own settings decide where packages come from.

Theory: a hash pins bytes, not a place. torch stands in the lock with the hashes of its default build and of the CPU
build beside it, because the same requirement finds the one or the other depending on the machine. Given both hashes,
pip prefers the place that announces its hashes to a folder that does not, and so the far larger build; hence
`torch-cpu.lock`, tried first.
"""

import re
import subprocess
import sys
from pathlib import Path

__all__ = ["blocks", "main"]

HERE = Path(__file__).resolve().parent
PYTHON = "3.11"
# The x86_64 CPU build of torch 2.13.0 for Python 3.11, published apart from the default builds.
TORCH_CPU = {"2.13.0": "sha256:6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b"}
_NAME = re.compile(r"^([a-z0-9][a-z0-9._-]*)==([^ ;\\]+)")
# What a machine of each kind installs; neither holds torch, Flower or a developer's tool.
EXCERPTS = {
    "coordinator": ("coordinator", "console", "postgres", "evidence"),
    "node": ("node", "serve", "export", "evidence"),
}
_CUDA = re.compile(r"^(nvidia-|cuda-|triton$)")


def blocks(lock: str) -> dict[str, list[str]]:
    """Split a lock into its requirements: name, then one text per version, each with its hashes."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in lock.splitlines():
        start = _NAME.match(line)
        if start:
            name = start.group(1)
            found.setdefault(name, []).append(line)
        elif line.startswith("    --hash=") and name:
            found[name][-1] += "\n" + line
        elif line.strip() and not line.lstrip().startswith("#"):
            raise SystemExit(f"locks: cannot place this line of the resolver's output: {line!r}")
    return found


def _resolve(*arguments: str) -> dict[str, list[str]]:
    # A lock serves any machine of this Python, so markers stay in the file and every wheel's hash is listed.
    command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", *arguments]
    command += ["--universal", "--python-version", PYTHON, "--generate-hashes", "--quiet"]
    command += ["--no-emit-index-url", "--no-annotate", "--no-header"]
    done = subprocess.run(command, cwd=HERE.parent, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"locks: the resolver failed:\n{done.stderr.strip()}")
    return blocks(done.stdout)


def _with_cpu_build(torch: str) -> str:
    version = _NAME.match(torch)
    if version is None or version.group(2) not in TORCH_CPU:
        raise SystemExit("locks: torch changed its version; put the hash of its CPU build into TORCH_CPU first")
    hashes = sorted({*re.findall(r"--hash=(\S+)", torch), TORCH_CPU[version.group(2)]})
    return " \\\n    --hash=".join([torch.split(" \\\n")[0], *hashes])


def _write(name: str, purpose: str, chosen: dict[str, list[str]]) -> None:
    header = (
        f"# {purpose}\n# Written by `make locks` from pyproject.toml; do not edit. Install with --require-hashes.\n"
    )
    body = "".join(f"{text}\n" for package in sorted(chosen) for text in chosen[package])
    (HERE / name).write_text(header + body, encoding="utf-8")


def main() -> int:
    """Resolve and write the files; return the exit code."""
    whole = _resolve("--all-extras")
    base_names = _closure(whole, "dev")
    base = {name: texts for name, texts in whole.items() if name in base_names}
    rest = {name: texts for name, texts in whole.items() if name not in base_names}
    cuda = {name: texts for name, texts in rest.items() if _CUDA.match(name)}
    towers = {name: texts for name, texts in rest.items() if name not in cuda}
    towers["torch"] = [_with_cpu_build(text) for text in towers["torch"]]
    _write("base.lock", "Everything except the towers: node, coordinator, audit, demo and the developer's tools.", base)
    _write("towers.lock", "torch, Flower and what only they need; on top of base.lock, with --no-deps.", towers)
    cpu = {"torch": [f"torch=={version}+cpu \\\n    --hash={digest}" for version, digest in TORCH_CPU.items()]}
    _write("torch-cpu.lock", "The CPU build of torch, where the machine offers it; tried before towers.lock.", cpu)
    _write("towers-cuda.lock", "What torch's default Linux build loads; its CPU build needs none of it.", cuda)
    write_excerpts(whole)
    return 0


def write_excerpts(whole: dict[str, list[str]]) -> None:
    """Write the locks of machines that run one thing, out of the requirements of the whole house."""
    for name, extras in EXCERPTS.items():
        chosen = {package: whole[package] for package in _closure(whole, *extras)}
        _write(f"{name}.lock", f"What a {name} machine needs: creditmesh[{','.join(extras)}].", chosen)


def _closure(whole: dict[str, list[str]], *extras: str) -> set[str]:
    # Which packages these extras need; their versions are those of the whole, so the two can never disagree.
    pins = HERE / ".pins.txt"
    lines = [text.splitlines()[0].rstrip(" \\") for texts in whole.values() for text in texts]
    pins.write_text("\n".join(lines) + "\n", encoding="utf-8")
    try:
        wanted = [part for extra in extras for part in ("--extra", extra)]
        return set(_resolve(*wanted, "--constraint", str(pins)))
    finally:
        pins.unlink()


if __name__ == "__main__":
    sys.exit(main())
