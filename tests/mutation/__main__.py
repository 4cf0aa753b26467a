"""Remove every check of the secure sum and of the bank's permit, one at a time, and see that a test notices.

    python -m tests.mutation [--only privacy/secagg/member.py] [--list]

Ends with `N caught of N`. Exit codes: 0 all caught, 1 a check was missed by no test, 2 wrong usage, 130 Ctrl-C.
"""

import argparse
import sys

from tests.mutation.allowed import ALLOWED
from tests.mutation.campaign import Campaign, cache_folder, list_sites
from tests.mutation.trial import HOME, HarnessError, Suite

__all__ = ["main"]

_ALL: frozenset[str] = frozenset()
MODULES = {
    "privacy/secagg/*.py": _ALL,
    **{f"privacy/{name}.py": _ALL for name in ("envelope", "field", "roster", "manifest", "wire", "messages")},
    **{f"privacy/{name}.py": _ALL for name in ("keys", "shamir")},
    "node/permit.py": _ALL,
    "node/seat.py": frozenset({"check_manifest"}),
    "node/usage.py": _ALL,
}
SUITE = Suite(
    ("tests/privacy", "tests/properties", "tests/vectors", "tests/redteam", "tests/node/test_permit.py",
     "tests/node/test_usage*.py", "tests/node/test_seat.py"),
    ("--ignore=tests/privacy/log", "--hypothesis-seed=0"),
)  # fmt: skip


def main() -> int:
    """Run the harness from the command line."""
    reader = argparse.ArgumentParser(prog="tests.mutation", description="remove each check and see that a test fails")
    reader.add_argument("--only", metavar="MODULE", help="one module, such as privacy/secagg/member.py")
    reader.add_argument("--list", action="store_true", help="list the checks and stop")
    asked = reader.parse_args()
    campaign = Campaign(HOME, MODULES, SUITE, ALLOWED, cache_folder())
    sites = list_sites(campaign)
    if asked.only and asked.only not in {site.path for site in sites}:
        reader.error(f"{asked.only} is not among the modules whose checks are removed, or has none: see --list")
    if asked.list:
        for site in sites:
            if asked.only in (None, site.path):
                print(f"{site.path}:{site.line} {site.function}: {site.code}")
        return 0
    try:
        return campaign.run(asked.only, lambda line: print(line, flush=True))
    except HarnessError as error:
        print(f"mutation: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
