"""One run of the harness: find the checks, remove each, say who noticed, remember it for the next run.

It prints lines and keeps verdicts in the user's cache folder, by the digest of the tree and of the edit; a run over a
tree that did not change since starts no test.
"""

import hashlib
import json
import os
import queue
import tempfile
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.mutation.sites import Site, find_sites
from tests.mutation.trial import Baseline, Suite, Tree, Verdict, digest_of, take_baseline, try_without

__all__ = ["Campaign", "cache_folder", "list_sites"]

WORKERS = 2


@dataclass(frozen=True, slots=True)
class Campaign:
    """What is tried: the tree, its modules (a pattern, and the functions to look into), the tests, who is excused."""

    root: Path
    modules: dict[str, frozenset[str]]
    suite: Suite
    allowed: dict[str, str]
    cache: Path

    def run(self, only: str | None, say: Callable[[str], None]) -> int:
        """Try every check and return 0 if each was missed by a test or is excused with a reason that still holds."""
        sites = list_sites(self)
        digest = digest_of(self.root)
        with tempfile.TemporaryDirectory(prefix="mutation-") as scratch:
            baseline = self._baseline(sites, digest, Path(scratch))
            for test in baseline.failed:
                say(f"fails with every check in place, so it proves nothing: {test}")
            chosen = [site for site in sites if only is None or site.path == only]
            verdicts = self._verdicts(chosen, baseline, digest, Path(scratch), say)
        return self._sum_up(chosen, verdicts, say)

    def _baseline(self, sites: list[Site], digest: str, scratch: Path) -> Baseline:
        marks = hashlib.sha256(repr([(site.path, site.anchors) for site in sites]).encode()).hexdigest()
        path = self.cache / "baseline.json"
        known = _read(path)
        if known.get("of") != [digest, marks]:
            (scratch / "marked").mkdir()
            found = take_baseline(self.root, scratch / "marked", self.suite, sites)
            known = {"of": [digest, marks], **asdict(found)}
            _write(path, known)
        return Baseline(tuple(known["failed"]), known["seconds"], known["ran"], known["spoken"])

    def _verdicts(
        self, sites: list[Site], baseline: Baseline, digest: str, scratch: Path, say: Callable[[str], None]
    ) -> dict[str, Verdict]:
        path = self.cache / "verdicts.json"
        known = _read(path)
        verdicts: dict[str, Verdict] = {}
        trees: queue.SimpleQueue[Tree] = queue.SimpleQueue()
        with ThreadPoolExecutor(WORKERS) as pool:
            running: dict[Future[Verdict], Site] = {}
            for site in sites:
                old = known.get(site.name, {})
                if old.get("of") == _fingerprint(site, digest):
                    verdicts[site.name] = Verdict(old["caught_by"], old["asked"])
                    continue
                tests = baseline.tests_for(site, old.get("caught_by"))
                if not tests:
                    verdicts[site.name] = Verdict(None, 0)
                    continue
                if not running:
                    for place in range(WORKERS):
                        trees.put(Tree(self.root, scratch / f"copy-{place}"))
                running[pool.submit(self._try, site, trees, tests, baseline)] = site
            for site in sites:
                if site.name in verdicts:
                    say(self._line(site, verdicts[site.name]))
            for done in as_completed(running):
                site = running[done]
                verdict = verdicts[site.name] = done.result()
                known[site.name] = {"of": _fingerprint(site, digest), **asdict(verdict)}
                _write(path, known)
                say(self._line(site, verdict))
        return verdicts

    def _try(self, site: Site, trees: "queue.SimpleQueue[Tree]", tests: list[str], baseline: Baseline) -> Verdict:
        tree = trees.get()
        try:
            return try_without(site, tree, (self.root / site.path).read_bytes(), tests, baseline.seconds)
        finally:
            trees.put(tree)

    def _line(self, site: Site, verdict: Verdict) -> str:
        where = f"{site.path}:{site.line} {site.function}: {site.code}"
        if verdict.caught_by:
            return f"caught    {where}\n          by {verdict.caught_by}"
        word = "excused " if site.name in self.allowed else "SURVIVED"
        tried = f"{verdict.asked} tests make it speak up" if verdict.asked else "no test makes it speak up"
        return f"{word}  {where}\n          {tried}"

    def _sum_up(self, sites: list[Site], verdicts: dict[str, Verdict], say: Callable[[str], None]) -> int:
        missed = [site for site in sites if verdicts[site.name].caught_by is None]
        excused = [site for site in missed if site.name in self.allowed]
        names = {site.name for site in sites}
        paths = {site.path for site in sites}
        missed_names = {site.name for site in missed}
        stale = [name for name in self.allowed if name.split()[0] in paths and name not in names & missed_names]
        say("")
        for site in missed:
            if site not in excused:
                say(self._line(site, verdicts[site.name]))
        for site in excused:
            say(f"excused   {site.name}\n          {self.allowed[site.name]}")
        for name in stale:
            say(f"the list excuses what is not there, or is caught: {name}")
        total = len(sites) - len(excused)
        say(f"{total - len(missed) + len(excused)} caught of {total}")
        return 1 if len(missed) > len(excused) or stale else 0


def list_sites(campaign: Campaign) -> list[Site]:
    """Return every check of the campaign's modules."""
    sites: list[Site] = []
    for pattern, functions in campaign.modules.items():
        for path in sorted(campaign.root.glob(pattern)):
            sites += find_sites(path.relative_to(campaign.root).as_posix(), path.read_bytes(), functions)
    return sites


def cache_folder() -> Path:
    """Return where verdicts are kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "creditmesh-mutation"


def _fingerprint(site: Site, digest: str) -> str:
    return hashlib.sha256(repr((digest, site.path, site.edit)).encode()).hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(content), "utf-8")
    draft.replace(path)
