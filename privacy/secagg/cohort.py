"""The cohort rule: over whom a sum may open, and what may change between sums of an exact job.

It keeps nothing. Theory: a sum over u_min members or more hides each part; two exact sums over cohorts that differ by
one bank tell that bank's part. So the first cohort that a member votes for stands, and an epoch runs over it or, where
the permit allows an exclusion, over fewer.
"""

from privacy.errors import PeerError, RefusalError
from privacy.roster import Roster

__all__ = ["check_cohort_size", "check_vote", "left_behind"]


def check_cohort_size(survivors: tuple[str, ...], roster: Roster) -> None:
    """Raise `RefusalError` for a cohort of fewer than the roster's u_min members."""
    if len(survivors) < roster.smallest_cohort:
        raise RefusalError(
            "cohort-too-small",
            f"a cohort of {len(survivors)}, expected at least {roster.smallest_cohort} of {len(roster)}",
        )


def check_vote(own: str, survivors: tuple[str, ...], roster: Roster, standing: tuple[str, ...] | None) -> None:
    """Raise unless `own` may vote for this cohort; standing: the cohort that an earlier vote fixed, if any."""
    if own not in survivors or not set(survivors) <= set(roster.members):
        raise PeerError("cohort-stranger", "a cohort lacks this member or names one outside the roster")
    check_cohort_size(survivors, roster)
    if standing is not None and standing != survivors:
        raise RefusalError("cohort-changed", "the cohort of an exact job is fixed by the first vote")


def left_behind(own: str, roster: Roster, standing: tuple[str, ...]) -> frozenset[str]:
    """Return the members of the standing cohort that an epoch's roster lacks; a stranger in it is refused."""
    if own not in roster or not set(roster.members) <= set(standing):
        raise RefusalError("cohort-changed", "an epoch may only run over the standing cohort, this member in it")
    return frozenset(standing) - set(roster.members)
