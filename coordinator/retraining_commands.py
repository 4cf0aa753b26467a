"""The command `creditmesh-coordinator retraining`: what validations found, and the job that would train anew.

    creditmesh-coordinator retraining --config coordinator.toml   [--json] [--job VALIDATION --out DIR]

It parses and prints; what was found is computed in `coordinator.retraining`, imported when the command runs.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from privacy.errors import InputError

__all__ = ["add_retraining"]


def add_retraining(kinds: Any) -> None:
    """Add the command to a parser's subcommands."""
    retraining = kinds.add_parser("retraining", help="what validations found: drift, ranking, calibration; and a job")
    retraining.add_argument("--job", metavar="VALIDATION", help="the validation whose model is to be trained anew")
    retraining.add_argument("--out", type=Path, metavar="DIR", help="write job.toml and schema.toml there, to submit")
    retraining.add_argument("--json", action="store_true", help="print JSON")
    retraining.add_argument("--config", type=Path, default=Path("coordinator.toml"), metavar="coordinator.toml")
    retraining.set_defaults(run=_retraining)


def _retraining(options: argparse.Namespace) -> int:
    from coordinator import config
    from coordinator.access import leave_note
    from coordinator.retraining import findings, write_job

    settings = config.load(options.config)
    found = findings(settings)
    if (options.job is None) != (options.out is None):
        raise InputError("usage", "retraining needs --job and --out together")
    if options.json:
        print(json.dumps([each.document() for each in found], indent=1, ensure_ascii=False))
    else:
        _print(found)
    if options.job is not None:
        chosen = [each for each in found if each.job == options.job]
        if not chosen:
            raise InputError("job-unknown", f"--job {options.job[:64]}: no validation of this id ended well here")
        path = write_job(chosen[0], options.out)
        leave_note(settings.state.dir, "retraining", options.job)
        if not options.json:
            print(f"{path}: the job to submit; each bank's permit decides about it")
    return 0


def _print(found: list[Any]) -> None:
    if not found:
        print('no validation has ended well yet; submit a job with recipe = "validation"')
    for each in found:
        verdict = "TRAIN AGAIN 建议重新训练" if each.retrain else "quiet 未触发"
        print(f"{each.job}  model {each.model[:16]}  {each.selection}, {each.rows} rows: {verdict}")
        for rule in each.rules:
            value = "too few rows" if rule.value is None else f"{rule.value:.4g}"
            print(f"  {'FIRES' if rule.fired else 'quiet'}  {rule.text}: {value} (limit {rule.limit:g})")
