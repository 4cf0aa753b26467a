"""The command `creditmesh-demo`: parse, run, and turn every error into one line and an exit code.

    creditmesh-demo [--data ROOM] [--out DIR] [--recipes scorecard,trees,towers] [--holdout 0.3] [--seed 0]
                    [--epsilon E] [--compare-pooled] [--kill MEMBER@ROUND[:before-upload|after-upload|before-reveal]]
    creditmesh-demo room --out DIR [--seed 0] [--scale 1]      only write the synthetic room

Exit codes: 0 fine, 1 a job failed or a sum was wrong, 2 usage or bad input, 130 Ctrl-C. Theory: this is the one place
where errors meet the user. Heavy libraries are imported after the command line was understood.
"""

import argparse
import errno
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from privacy.errors import InputError, MisuseError, PrivacyError
from risk.errors import InputError as RiskInputError
from risk.errors import RiskError

if TYPE_CHECKING:
    from creditmesh_demo.room_folder import RoomFolder

__all__ = ["main"]

PROGRAM = "creditmesh-demo"
MOMENTS = ("before-upload", "after-upload", "before-reveal")
KILL = re.compile(r"(?P<member>[a-z0-9][a-z0-9_-]{0,62})@(?P<number>[1-9][0-9]{0,4})(?::(?P<moment>[a-z-]+))?")


class _Stopped(Exception):
    """A signal asked this program to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo and return its exit code; nothing is raised but `SystemExit` by `--help`."""
    launched = time.monotonic()
    # Read before numpy and Polars are imported: few threads, and freed memory goes back to the system.
    for name, value in (("OMP_NUM_THREADS", "1"), ("OPENBLAS_NUM_THREADS", "1"), ("POLARS_MAX_THREADS", "2"),
                        ("_RJEM_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0")):  # fmt: skip
        os.environ.setdefault(name, value)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        given = list(sys.argv[1:] if arguments is None else arguments)
        if given[:1] == ["room"]:
            return _write_room(_room_parser().parse_args(given[1:]))
        return _run(_parser().parse_args(given), launched)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Exception, KeyboardInterrupt) as error:
        code, text = _explain(error)
        print(f"{PROGRAM}: {' '.join(text.split())}", file=sys.stderr)
        return code


def _stop(number: int, _frame: FrameType | None) -> None:
    raise _Stopped(number)


def _run(options: argparse.Namespace, launched: float) -> int:
    from creditmesh_demo.room_folder import open_room
    from risk.catalogue import available_recipes, private_recipes

    epsilon = None if options.epsilon is None else _epsilon(options.epsilon)
    recipes = _recipes(options.recipes, available_recipes() if epsilon is None else private_recipes())
    holdout = _number("--holdout", options.holdout, (0.05, 0.9))
    seed = int(_number("--seed", options.seed, (0, 2**31 - 1), whole=True))
    kill = None if options.kill is None else _kill(options.kill)
    bank, rows = (None, 0) if options.newcomer is None else _newcomer(options.newcomer)
    room = None if options.data is None else open_room(options.data)
    out = _output_folder(options.out)
    from creditmesh_demo.launcher import Kill, Plan, launch
    from creditmesh_demo.progress import Screen

    screen, synthetic = Screen(), room is None
    room = room or _drawn_room(out, seed)
    if room.ignored:
        screen.say(f"not counted because of their names: {', '.join(room.ignored)}")
    if kill and kill[0] not in room.tables:
        raise InputError("kill-member", f"--kill: {kill[0]} is not in the room; there are {', '.join(room.tables)}")
    newcomer = None
    if bank is not None:
        from creditmesh_demo.newcomer import without

        room, newcomer = without(room, bank, rows)
    screen.say(f"{room.name}: {len(room.tables)} institutions, recipes {', '.join(recipes)}, results in {out}")
    plan = Plan(
        room, out, recipes, holdout, seed, options.compare_pooled, Kill(*kill) if kill else None, synthetic, launched,
        epsilon, newcomer,
    )  # fmt: skip
    try:
        return launch(plan, screen)
    finally:
        screen.rest()


def _newcomer(given: str) -> tuple[str, int]:
    bank, _, rows = given.rpartition(":")
    if not bank or not rows.isascii() or not rows.isdigit() or not 20 <= int(rows) <= 2**31:
        raise InputError("newcomer", f"--newcomer: found {given!r}, expected BANK:ROWS with 20 rows or more")
    return bank, int(rows)


def _drawn_room(out: Path, seed: int) -> "RoomFolder":
    from creditmesh_demo.room import write_room
    from creditmesh_demo.room_folder import open_room

    folder = out / "synthetic"
    folder.mkdir()
    write_room(folder, seed)
    return open_room(folder)


def _write_room(options: argparse.Namespace) -> int:
    seed = int(_number("--seed", options.seed, (0, 2**31 - 1), whole=True))
    scale = _number("--scale", options.scale, (0.01, 20.0))
    from creditmesh_demo.room import write_room
    from creditmesh_demo.room_banks import scaled

    institutions, out = scaled(scale), _output_folder(options.out)
    write_room(out, seed, institutions)
    print(f"{out}: schema.toml and {len(institutions)} institutions")
    return 0


def _output_folder(given: Path | None) -> Path:
    """Make the output folder and return it absolute; one that holds anything is refused."""
    out = (given or Path("creditmesh-run") / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}").absolute()
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise InputError("out-not-empty", f"--out: {out} is not empty; name a new folder")
        probe = out / ".probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise InputError("out-unwritable", f"--out: {out} cannot be written ({reason})") from error
    return out


def _recipes(given: str | None, available: Sequence[str]) -> tuple[str, ...]:
    names = tuple(available) if given is None else tuple(given.split(","))
    unknown = [name for name in names if name not in available]
    if unknown:
        raise InputError(
            "recipe-unknown", f"--recipes: {unknown[0]!r} is not installed; there are {', '.join(available)}"
        )
    if len(set(names)) != len(names):
        raise InputError("recipe-twice", f"--recipes: {given!r} names a recipe twice")
    return names


def _number(name: str, text: str, limits: tuple[float, float], *, whole: bool = False) -> float:
    try:
        value = float(int(text) if whole else float(text))
    except ValueError:
        value = float("nan")
    if not limits[0] <= value <= limits[1]:
        kind = "a whole number" if whole else "a number"
        raise InputError("number", f"{name}: found {text!r}, expected {kind} from {limits[0]:.12g} to {limits[1]:.12g}")
    return value


def _epsilon(given: str) -> str:
    """Return epsilon as a decimal in its shortest form, as job files have it."""
    _number("--epsilon", given, (0.01, 100))
    return format(Decimal(given).normalize(), "f")


def _kill(given: str) -> tuple[str, int, str]:
    match = KILL.fullmatch(given)
    moment = (match["moment"] or MOMENTS[0]) if match else ""
    if match is None or moment not in MOMENTS:
        raise InputError("kill-format", f"--kill: found {given!r}, expected MEMBER@ROUND[:{'|'.join(MOMENTS)}]")
    return match["member"], int(match["number"]), moment


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line."""

    def error(self, message: str) -> NoReturn:
        """Raise the complaint as bad input."""
        raise InputError("usage", f"{message}; see {self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=PROGRAM, description="Train one risk model over a room of institutions, each in its own process."
    )
    room = "folder with schema.toml and one table per institution; default: a synthetic room of five"
    parser.add_argument("--data", type=Path, metavar="ROOM", help=room)
    out = "new or empty folder for results; default: creditmesh-run/<UTC>"
    parser.add_argument("--out", type=Path, metavar="DIR", help=out)
    parser.add_argument("--recipes", metavar="NAMES", help="comma-separated; default: all that are installed")
    parser.add_argument("--holdout", default="0.3", metavar="SHARE", help="share of rows held out (default 0.3)")
    parser.add_argument("--seed", default="0", help="seed of the hold-out and of the synthetic room (default 0)")
    epsilon = "train with differential privacy: what a job may cost one record, at delta 1e-6 (default: exact sums)"
    parser.add_argument("--epsilon", metavar="E", help=epsilon)
    pooled = "also train on all rows in one place and compare"
    parser.add_argument("--compare-pooled", action="store_true", help=pooled)
    newcomer = (
        "keep a lender out of the network, and show what the network is worth to it as it has more rows, up to ROWS"
    )
    parser.add_argument("--newcomer", metavar="BANK:ROWS", help=newcomer)
    kill = f"let a member's node end by SIGKILL at a sum of the first recipe; MOMENT: {', '.join(MOMENTS)}"
    parser.add_argument("--kill", metavar="MEMBER@ROUND[:MOMENT]", help=kill)
    return parser


def _room_parser() -> argparse.ArgumentParser:
    parser = _Parser(prog=f"{PROGRAM} room", description="Write the synthetic room of five institutions to a folder.")
    parser.add_argument("--out", type=Path, metavar="DIR", required=True, help="new or empty folder")
    parser.add_argument("--seed", default="0", help="another seed, other firms (default 0)")
    parser.add_argument("--scale", default="1", help="rows of each institution, times this (default 1)")
    return parser


def _explain(error: BaseException) -> tuple[int, str]:
    if isinstance(error, KeyboardInterrupt):
        return 130, "interrupted; every process was stopped"
    if isinstance(error, _Stopped):
        return 128 + error.number, f"stopped by {signal.Signals(error.number).name}; every process was stopped"
    if isinstance(error, InputError | RiskInputError):
        return 2, error.message
    if isinstance(error, MisuseError):
        return 1, f"internal error: {error.message} ({_place(error)})"
    if isinstance(error, PrivacyError | RiskError):
        return 1, error.message
    if isinstance(error, OSError):
        return 2, _explain_system(error)
    if isinstance(error, MemoryError):
        return 1, "out of memory"
    # An unforeseen error's own text may quote a row, so only its kind and place are shown.
    return 1, f"internal error: {type(error).__name__} ({_place(error)})"


def _explain_system(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{where}the disk is full; make room and start again"
    return f"{where}{(error.strerror or type(error).__name__).lower()}"


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown place"
