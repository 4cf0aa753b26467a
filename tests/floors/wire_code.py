"""Write the protobuf and gRPC code of every `.proto` file: `python tests/floors/wire_code.py OUT` (`make wire`)."""

import re
import subprocess
import sys
from pathlib import Path

__all__ = ["SUFFIXES", "generate", "generated_files"]

PROTO = Path(__file__).resolve().parents[2] / "proto"
SUFFIXES = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py")


def generate(source: Path, out: Path) -> None:
    """Compile every `.proto` below `source` into `out`: messages with their types, and gRPC code where a service is."""
    protos = sorted(source.rglob("*.proto"))
    services = [path for path in protos if re.search(r"^service \w+", path.read_text("utf-8"), re.MULTILINE)]
    _compile(source, protos, f"--python_out={out}", f"--pyi_out={out}")
    _compile(source, services, f"--grpc_python_out={out}")


def _compile(source: Path, protos: list[Path], *targets: str) -> None:
    files = [path.relative_to(source).as_posix() for path in protos]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={source}", *targets, *files]
    subprocess.run(command, check=True)


def generated_files(folder: Path) -> dict[str, bytes]:
    """Map each generated file below a folder to its bytes."""
    files = (path for path in sorted(folder.rglob("*_pb2*")) if path.name.endswith(SUFFIXES))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


if __name__ == "__main__":
    generate(PROTO, Path(sys.argv[1]))
