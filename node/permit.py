"""Decide whether this bank takes part in a job: its own rules against what the manifest offers.

This module reads no table and keeps no count; the caller passes what it holds and what was spent. Theory: the bank's
veto is a pure function of a few public figures, so it can be tested as a table. Where permit and manifest both name a
threshold, the stricter holds. A refusal is returned, not raised: it is an answer to the coordinator, with a stable
code and a text that names rules and never this bank's own counts.
"""

from dataclasses import dataclass

from node.config import PermitSettings
from privacy.errors import RefusalError
from privacy.manifest import Manifest

__all__ = ["Offer", "Permit", "Spent", "offer_of"]


@dataclass(frozen=True, slots=True)
class Offer:
    """What a job would do with this bank's rows, and how many it has.

    cohort: fewest members behind any opened sum. max_rows: most rows the manifest lets one member count. min_rows,
    min_bads: the manifest's own thresholds. exact: its sums carry no noise. rows, bads: this bank's rows with a
    target, and those with target 1.
    """

    purpose: str
    recipe: str
    cohort: int
    max_rows: int
    min_rows: int
    min_bads: int
    exact: bool
    rows: int
    bads: int


@dataclass(frozen=True, slots=True)
class Spent:
    """What this bank's rows were already used for: jobs without noise, members excluded, masked bytes sent in them."""

    exact_jobs: int = 0
    exclusions: int = 0
    uploaded_bytes: int = 0


def offer_of(manifest: Manifest, rows: int, bads: int) -> Offer:
    """Return the offer that `manifest` makes to a bank with `rows` rows, `bads` of them bad."""
    return Offer(
        purpose=manifest.purpose,
        recipe=manifest.recipe,
        cohort=manifest.roster.smallest_cohort,
        max_rows=manifest.max_rows,
        min_rows=manifest.min_rows,
        min_bads=manifest.min_bads,
        exact=manifest.privacy == "exact",
        rows=rows,
        bads=bads,
    )


@dataclass(frozen=True, slots=True)
class Permit:
    """The bank's rules, as `[permit]` in node.toml states them."""

    settings: PermitSettings

    def decide(self, offer: Offer, spent: Spent = Spent()) -> RefusalError | None:
        """Return None to join, or the first rule that forbids it.

        Codes: permit-purpose, permit-recipe, permit-exact-trees, permit-cohort, permit-exact-jobs, permit-max-rows,
        permit-rows, permit-bads.
        """
        mine = self.settings
        min_rows, min_bads = max(mine.min_rows, offer.min_rows), max(mine.min_bads, offer.min_bads)
        max_rows = min(mine.max_rows, offer.max_rows)
        rules = (
            (offer.purpose in mine.purposes, "purpose", f"the permit does not allow the purpose {offer.purpose!r}"),
            (offer.recipe in mine.recipes, "recipe", f"the permit does not allow the recipe {offer.recipe!r}"),
            (
                offer.recipe != "trees" or not offer.exact or mine.exact_trees,
                "exact-trees",
                "the permit does not allow trees without noise (exact_trees): a few borrowers stand alone in a cell",
            ),
            (
                offer.cohort >= mine.min_cohort,
                "cohort",
                f"sums would open over {offer.cohort} members, the permit asks for {mine.min_cohort} or more",
            ),
            (
                not offer.exact or spent.exact_jobs < mine.exact_jobs,
                "exact-jobs",
                f"the permit allows {mine.exact_jobs} jobs without noise and they are used up",
            ),
            (offer.rows <= max_rows, "max-rows", f"this bank has more rows than the {max_rows} that may count"),
            (offer.rows >= min_rows, "rows", f"this bank has fewer than the {min_rows} rows with a target it needs"),
            (offer.bads >= min_bads, "bads", f"this bank has fewer than the {min_bads} bad rows it needs"),
        )
        for holds, slug, text in rules:
            if not holds:
                return RefusalError(f"permit-{slug}", text)
        return None

    def decide_upload(self, spent: Spent, size_bytes: int) -> RefusalError | None:
        """Return None if a masked part of that size may leave in a job without noise. Code: permit-exact-upload.

        Every exact sum tells something about the rows behind it; the cap bounds how much in all.
        """
        if spent.uploaded_bytes + size_bytes <= self.settings.exact_upload_bytes:
            return None
        return RefusalError(
            "permit-exact-upload",
            f"the permit allows {self.settings.exact_upload_bytes} bytes of parts without noise and they are used up",
        )

    def decide_exclusion(self, spent: Spent) -> RefusalError | None:
        """Return None if exact sums may go on over another cohort than before, or the rule that forbids it.

        Two exact sums whose cohorts differ by one bank tell that bank's part, so this is off by default and, when on,
        happens at most `allow_exclusion` times over all jobs on the same rows. Code: permit-exclusion.
        """
        if spent.exclusions < self.settings.allow_exclusion:
            return None
        what = "does not allow" if self.settings.allow_exclusion == 0 else "allows only once"
        return RefusalError("permit-exclusion", f"the permit {what} sums over another cohort than before")
