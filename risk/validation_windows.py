"""Which rows a validation counts, told by its plan alone, and whether two validations can be subtracted.

It reads no row. Theory: what one sum hides, the difference of two may show. Of two windows over the same rows that
overlap and differ, the difference is a set that nobody asked for and no rule about small groups saw: a month, or a few
rows of a segment in it. Where windows over the same rows are equal or apart, every combination of their sums is one of
sums that were allowed. Equal windows must be divided by the same two limits too, or their groups could be subtracted.
Rows that a model holds out are drawn at random, at least a tenth is left, so hold-out and all rows, and hold-outs of
different draws, differ in many rows of every group.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from risk.model import Model
from risk.spec import JobSpec
from risk.validation_plan import Plan, plan_of, until_of

__all__ = ["Window", "clash", "windows_of"]

_EVER = 12 * 10_000


@dataclass(frozen=True, slots=True)
class Window:
    """Name a set of rows without looking at one.

    draws: the hold-outs that a row must be in, each by seed, share in millionths and whether a bank's own key drew it;
    empty where all rows count. first, last: months that count, 12 * year + month - 1. undated: whether rows without a
    date count. limits: fewest rows of a segment and of a period; None where nothing is told apart in it.
    """

    draws: frozenset[tuple[int, int, bool]]
    first: int
    last: int
    undated: bool
    limits: tuple[int, int] | None

    def subtracts(self, other: "Window") -> bool:
        """Return whether sums over both say more than sums over either: they overlap and are not the same."""
        if self.draws != other.draws:
            return False
        apart = self.first > other.last or other.first > self.last
        if apart and not (self.undated and other.undated):
            return False
        rows = (self.first, self.last, self.undated) != (other.first, other.last, other.undated)
        return rows or (self.limits is not None and other.limits is not None and self.limits != other.limits)


def windows_of(spec: JobSpec) -> tuple[Window, ...]:
    """Return the windows of a validation job: one, or two where it tells the hold-out beside later rows."""
    plan = plan_of(spec)
    limits = int(spec.parameters["least_rows"]), int(spec.parameters["period_rows"])
    if plan.months is not None:
        return (Window(frozenset(), *plan.months, False, limits),)
    if plan.selection == "all":
        return (Window(frozenset(), 0, _EVER, True, limits),)
    if plan.selection == "holdout":
        return (_held_out(plan, limits),)
    assert plan.train_until is not None  # plan_of refuses other jobs
    return Window(frozenset(), plan.train_until + 1, _EVER, False, limits), _held_out(plan, None)


def clash(new: Iterable[Window], old: Iterable[Window]) -> bool:
    """Return whether any of the new windows can be subtracted from an old one."""
    earlier = tuple(old)
    return any(window.subtracts(other) for window in new for other in earlier)


def _held_out(plan: Plan, limits: tuple[int, int] | None) -> Window:
    until = [month for month in map(until_of, plan.models) if month is not None]
    return Window(frozenset(map(_draw, plan.models)), 0, min(until, default=_EVER), not until, limits)


def _draw(model: Model) -> tuple[int, int, bool]:
    facts = model.training
    return int(facts["seed"]), int(facts["holdout_ppm"]), "privacy" in facts
