"""Show a running demo on the terminal: a live line on a screen, plain lines elsewhere.

It reads a job's events and decides nothing. Theory: on a screen one line moves; in a file or a pipe every step of the
recipe becomes one line, so a log stays readable and short.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from creditmesh_demo.evaluation import Market
from creditmesh_demo.job_history import JobEvent
from creditmesh_demo.page.headline import mean
from creditmesh_demo.report import Judged

__all__ = ["Screen"]

STEPS = {
    "sketch": "cutting fields into bins",
    "bin": "counting good and bad loans per bin",
    "newton": "fitting weights",
    "level": "growing trees",
    "prefix": "choosing how many trees to keep",
    "score": "measuring on hold-out rows",
}


class Screen:
    """Print what a demo does, on standard output."""

    def __init__(self) -> None:
        # Rich is loaded where there is a screen for it; a file or a pipe gets the same lines without it.
        self._console = _console() if sys.stdout.isatty() else None
        self._status: Any = None
        self._step = ""

    def say(self, text: str) -> None:
        """Print one line that stays."""
        if self._console is None:
            print(text, flush=True)
        else:
            self._console.print(text, markup=False, soft_wrap=True)

    def working(self, text: str) -> None:
        """Show what is going on: a live line on a screen, else a line when the text changes."""
        if self._console is None:
            if text != self._step:
                self.say(f"  {text}")
            self._step = text
        elif self._status is None:
            self._status = self._console.status(text)
            self._status.start()
        else:
            self._status.update(text)

    def rest(self) -> None:
        """Take the live line away."""
        if self._status is not None:
            self._status.stop()
        self._status, self._step = None, ""

    def event(self, recipe: str, event: JobEvent) -> None:
        """Show one event of a job."""
        body = event.body
        if event.kind == "round-opened":
            step = STEPS.get(str(body["name"]).split("-")[0], "training")
            live = f"{recipe}: sum {body['number']} over {body['survivors']} banks, {step}"
            self.working(live if self._console else f"{recipe}: {step}")
        elif event.kind == "job-started":
            self.working(f"{recipe}: {len(body['members'])} banks agreed on keys")
        elif event.kind == "member-left-out":
            self.say(f"  {body['member']} does not take part: {body['code']}")
        elif event.kind == "job-paused":
            self.say(f"  lost {', '.join(body['lost'])}; waiting {body['rejoin_s']:g} s for it to come back")
        elif event.kind == "members-excluded":
            lost = ", ".join(body["lost"])
            self.say(f"  going on for good without {lost}: its part of the last sums can be computed by subtraction")

    def result(self, judged: Judged) -> None:
        """Print a recipe's table: own, network and mixed AUC of each bank, and the market's row."""
        record, market = judged.record, judged.market
        self.rest()
        if market is None:
            self.say(f"{record.recipe}: failed: {record.reason}")
            return
        self._table(f"{record.recipe}: AUC on hold-out rows (market: on those of all banks)", _rows(judged, market), 2)
        if judged.newcomer is not None:
            title = f"{record.recipe}: {judged.newcomer['bank']}, kept out of the network: AUC on its hold-out rows"
            self._table(title, _newcomer_rows(judged.newcomer), 0)

    def _table(self, title: str, rows: Sequence[Sequence[str]], apart: int) -> None:
        """Print rows of text, the first of them the heads; the last `apart` are set apart."""
        if self._console is not None:
            self._console.print(_rich_table(title, rows, apart))
            return
        widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
        self.say(f"\n{title}\n")
        for place, row in enumerate(rows):
            cells = [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
            ]
            if place in (1, len(rows) - apart):
                self.say("  " + "  ".join("-" * width for width in widths))
            self.say(("  " + "  ".join(cells)).rstrip())
        self.say("")

    def finished(self, out: Path, report: Mapping[str, Any], verifiers: int, problems: Sequence[str]) -> None:
        """Print where everything is and what a reader must know before trusting it.

        verifiers: members that at least recomputed and signed each sum; problems: lines to print as they are.
        """
        self.rest()
        privacy, timing = report["privacy"], report["timing"]
        memory = timing["peak_rss_bytes_total"]
        self.say(
            f"{privacy['sums']} secure sums, at least {privacy['smallest_cohort']} banks in each; "
            f"{timing['total_s']:.1f} s in all" + (f", {memory / 1e6:,.0f} MB over all processes" if memory else "")
        )
        checked = f"Every sum was recomputed and signed by at least {verifiers} members. "
        trusted = "Sums are not yet verified by members: the coordinator is trusted to add correctly. "
        self.say((checked if verifiers else trusted) + _cost(privacy["epsilon"]))
        for problem in problems:
            self.say(problem)
        nodes, coordinator = out / "nodes", out / "coordinator"
        pins = f"--members {nodes / report['members'][0] / 'keys' / 'members.json'}" if report["members"] else ""
        self.say(f"report: {out / 'report.html'}")
        self.say(f"check:  creditmesh-audit verify {nodes}/* {coordinator} {pins}")
        self.say(f"audit:  creditmesh-audit report {nodes}/* --coordinator {coordinator} {pins} --out audit.html")


def _cost(epsilons: Mapping[str, float | None]) -> str:
    spent = [epsilon for epsilon in epsilons.values() if epsilon is not None]
    if not spent:
        return "No differential privacy: the sums are exact."
    return f"Differential privacy: this run cost at most epsilon {max(spent):.3f} at delta 1e-6."


def _rows(judged: Judged, market: Market) -> list[tuple[str, ...]]:
    """Return a result table as text: heads, one row per bank, the means, and the market."""
    rows: list[tuple[str, ...]] = [("bank", "rows", "own", "network", "mixed", "chosen", "market")]
    for bank in market.banks:
        figures = bank.figures
        size = f"{figures['rows_train'] + figures['rows_test']:,}"
        aucs = [_auc(figures[f"auc_{name}"]) for name in ("own", "network", "mixed")]
        rows.append((bank.bank, size, *aucs, figures["chosen"] or "-", _auc(figures["auc_own_market"])))
    means = {name: _auc(mean(market.banks, f"auc_{name}")) for name in ("own", "network", "mixed", "own_market")}
    released = (judged.record.outcome.get("metrics") or {}).get("auc")
    rows.append(("mean", "", means["own"], means["network"], means["mixed"], "", means["own_market"]))
    rows.append(("market", "", means["own_market"], _auc(released), "", "", ""))
    return rows


def _console() -> Any:
    from rich.console import Console

    return Console(highlight=False)


def _newcomer_rows(newcomer: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return a newcomer's figures as text, one row for each number of rows it is given."""
    rows: list[tuple[str, ...]] = [("its rows", "own", "network", "mixed", "chosen")]
    for step in newcomer["steps"]:
        aucs = [_auc(step[f"auc_{name}"]) for name in ("own", "network", "mixed")]
        rows.append((f"{step['rows']:,}", *aucs, step["chosen"]))
    return rows


def _rich_table(title: str, rows: Sequence[Sequence[str]], apart: int) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1))
    table.add_column(rows[0][0], no_wrap=True, overflow="ellipsis")
    for name in rows[0][1:]:
        table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
    for place, row in enumerate(rows[1:], start=1):
        if apart and place == len(rows) - apart:
            table.add_section()
        table.add_row(*row, style="bold" if apart and place == len(rows) - 1 else "")
    return table


def _auc(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
