"""How the cost of a secure sum grows with its members: the real machines of up to 200 members in one process.

    python -m tests.bench.scale OUT [--members 4 8 20 50 100 200] [--length 1000000]

Each member's upload is made, taken by the coordinator and dropped before the next one, so memory stays bounded; the
most this process ever held is printed. One member is lost after the keys were agreed (none of four: there every part is
needed). Into OUT go `scale.json`, `scale.svg` and `scale.png`: CPU a member and at the coordinator against n, beside
the floor (AES-256-CTR and additions, measured in the same run), and what verifying the sum costs, which is measured
apart. For n above 20 one verifier really recomputes the sum; the others of the c + 1 would do the same.

Verification dominates from where all verifiers together spend more than everybody spends on the sum itself; that is
looked for with shorter vectors too (`--lengths`).
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from privacy.roster import Roster
from tests.bench.one_sum import Costs, Size, measure, peak_mib
from tests.privacy.table import names_of

__all__ = ["figures"]

# What is printed of a point, and its heading.
COLUMNS = {
    "members": "members", "length": "entries", "member_ms": "member", "member_floor_ms": "its floor",
    "coordinator_ms": "coordinator", "coordinator_floor_ms": "its floor", "verifier_ms": "a verifier",
    "coordinator_check_ms": "keep+show", "verifiers": "verifiers", "verification_share": "verif./sum",
    "peak_mib": "peak MiB", "seconds": "took s",
}  # fmt: skip


def figures(costs: Costs, seconds: float) -> dict[str, Any]:
    """Return one point of the curves: CPU in milliseconds, bytes, and the process's peak memory so far."""
    size = costs.size
    verifiers = Roster(tuple(names_of(size.members))).colluders + 1
    left = size.members - size.lost
    everybody = left * costs.member_ms + costs.coordinator_ms
    verifying = verifiers * costs.verifier_ms + costs.check_ms
    return {
        "members": size.members, "length": size.length, "lost": size.lost,
        "member_ms": costs.member_ms, "member_floor_ms": costs.floor_member,
        "coordinator_ms": costs.coordinator_ms, "coordinator_floor_ms": costs.floor_coordinator,
        "set_up_member_ms": sum(costs.member["set-up"]) / size.members,
        "verifier_ms": costs.verifier_ms, "coordinator_check_ms": costs.check_ms, "verifiers": verifiers,
        "sum_ms_all": everybody, "verification_ms_all": verifying, "verification_share": verifying / everybody,
        "upload_bytes": costs.upload_bytes,
        "shown_bytes_a_verifier": left * size.length * size.word_bits // 8,
        "seconds": seconds, "peak_mib": peak_mib(),
    }  # fmt: skip


def point(members: int, length: int, folder: Path) -> dict[str, Any]:
    """Measure one point."""
    start = time.monotonic()
    size = Size(members, length, lost=0 if members == 4 else 1, verifiers=99 if members <= 20 else 1)
    return figures(measure(size, folder), time.monotonic() - start)


def draw(points: list[dict[str, Any]], out: Path) -> None:
    """Draw the curves as `scale.svg` and `scale.png`."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    n = [each["members"] for each in points]
    figure, panels = pyplot.subplots(1, 2, figsize=(11, 4.6), constrained_layout=True)
    for panel, who, checks, label in (
        (panels[0], "member", "verifier_ms", "verifying (a verifier)"),
        (panels[1], "coordinator", "coordinator_check_ms", "keeping and showing parts"),
    ):
        panel.loglog(n, [each[f"{who}_ms"] for each in points], "o-", label="the sum")
        panel.loglog(n, [each[f"{who}_floor_ms"] for each in points], "k--", label="floor: AES-256-CTR and additions")
        panel.loglog(n, [each[checks] for each in points], "s:", label=label)
        panel.set(
            xlabel="members", ylabel="CPU, ms", title=f"at {'a member' if who == 'member' else 'the coordinator'}"
        )
        panel.set_xticks(n, [str(each) for each in n])
        panel.grid(which="both", alpha=0.25)
        panel.legend()
    length = points[0]["length"]
    figure.suptitle(f"One secure sum of {length:,} 32-bit words, one member lost; peak memory "
                    f"{max(each['peak_mib'] for each in points):.0f} MiB in one process")  # fmt: skip
    for name in ("scale.svg", "scale.png"):
        figure.savefig(out / name, dpi=120)


def crossing(points: list[dict[str, Any]]) -> str:
    """Say from which n and length verification costs more than the sum itself."""
    first: dict[int, int] = {}
    for each in sorted(points, key=lambda each: each["length"]):
        if each["verification_share"] > 1:
            first.setdefault(each["members"], each["length"])
    if not first:
        return "verification nowhere costs more CPU than the sum, all members together"
    return "verification costs more CPU than the sum, all members together, from " + ", ".join(
        f"n={members}: {length:,} entries (n x d = {members * length:,})" for members, length in sorted(first.items())
    )


def _cell(value: float) -> str:
    return f"{value:>12,d}" if isinstance(value, int) else f"{value:>12,.2f}"


def main() -> None:
    """Measure, print a line a point, draw, and say where verification dominates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--members", type=int, nargs="+", default=[4, 8, 20, 50, 100, 200])
    parser.add_argument("--length", type=int, default=1_000_000)
    parser.add_argument("--lengths", type=int, nargs="*", default=[1_000, 10_000, 100_000, 300_000],
                        help="shorter vectors, tried with up to 20 members")  # fmt: skip
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    print(f"load {os.getloadavg()[0]:.1f}; CPU in ms")
    print(" ".join(f"{heading:>12}" for heading in COLUMNS.values()))
    points = []
    with tempfile.TemporaryDirectory(dir=options.out) as folder:
        sizes = [(n, length) for length in options.lengths for n in options.members if n <= 20]
        for n, length in [*sizes, *((n, options.length) for n in options.members)]:
            points.append(point(n, length, Path(folder)))
            print(" ".join(_cell(points[-1][column]) for column in COLUMNS))
            sys.stdout.flush()
    curve = [each for each in points if each["length"] == options.length]
    draw(curve, options.out)
    said = crossing(points)
    print(said)
    print(f"most memory held: {peak_mib():.0f} MiB")
    document = {"load": os.getloadavg(), "points": points, "said": said}
    (options.out / "scale.json").write_text(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
