"""A bank goes in only with members, code and dictionary that it knows; whatever else the manifest says."""

from dataclasses import replace

import pytest

from node.seat import Pins, check_manifest
from privacy.errors import PeerError, PrivacyError, RefusalError
from tests.privacy.table import identity_of, manifest_of, names_of

MANIFEST = manifest_of(names_of(4))
PINS = Pins({name: identity_of(name).public for name in names_of(5)}, MANIFEST.code_sha256, MANIFEST.dictionary_sha256)


def test_pinned_members_and_ones_own_code_and_dictionary_pass() -> None:
    check_manifest(MANIFEST, PINS)


@pytest.mark.parametrize(
    ("pins", "code", "kind"),
    [
        (replace(PINS, members={name: PINS.members[name] for name in names_of(3)}), "member-unpinned", RefusalError),
        (replace(PINS, members={**PINS.members, names_of(4)[3]: bytes(32)}), "identity-swapped", PeerError),
        (replace(PINS, code_sha256="2" * 64), "code-differs", RefusalError),
        (replace(PINS, dictionary_sha256="2" * 64), "dictionary-differs", RefusalError),
    ],
)
def test_anything_else_is_refused(pins: Pins, code: str, kind: type[PrivacyError]) -> None:
    with pytest.raises(kind) as refused:
        check_manifest(MANIFEST, pins)

    assert refused.value.code == code
