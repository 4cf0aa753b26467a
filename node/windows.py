"""Refuse a validation whose rows overlap those of an earlier one and differ from them.

It keeps no record of its own: what this bank answered stands in the archive of its jobs, and which jobs were exact and
over the rows in use stands in the usage. Theory: `risk.validation_windows`; the rule needs manifests and models alone,
so every bank that was in the same jobs comes to the same answer.
"""

from collections.abc import Callable, Sequence

from node.archive import Archive
from privacy.errors import InputError as PrivacyInputError
from privacy.errors import RefusalError, VerificationError
from privacy.manifest import Manifest
from risk.charter import spec_of
from risk.dictionary import Dictionary
from risk.errors import InputError
from risk.validation_windows import Window, clash, windows_of

__all__ = ["check_windows"]

_RECIPE = "validation"


def check_windows(
    manifest: Manifest, jobs: Sequence[str], archive: Archive, dictionary: Dictionary, models: Callable[[str], bytes]
) -> None:
    """Raise `RefusalError` if a validation can be subtracted from one that this bank answered over the same rows.

    jobs: ids of the exact jobs on these rows so far. models: returns the model file of a digest.
    """
    if manifest.recipe != _RECIPE:
        return
    new = _windows(manifest, dictionary, models)
    for job in jobs:
        if job == manifest.job:
            continue
        try:
            earlier = archive.read(job).manifest
        except PrivacyInputError:
            raise RefusalError(
                "validation-record",
                f"what this bank kept of {job} is gone, so nobody can say what a further validation would show",
            ) from None
        if earlier.recipe == _RECIPE and clash(new, _windows(earlier, dictionary, models)):
            raise RefusalError(
                "validation-window",
                f"the rows of this validation overlap those of {job} but are not the same, or it divides them by other "
                "limits; ask for the same rows with the same least_rows and period_rows, or for months that were not "
                "asked for yet",
            )


def _windows(manifest: Manifest, dictionary: Dictionary, models: Callable[[str], bytes]) -> tuple[Window, ...]:
    try:
        return windows_of(spec_of(manifest, dictionary, models))
    except (InputError, PrivacyInputError, VerificationError) as error:
        raise RefusalError(error.code, f"{manifest.job}: {error.message}") from None
