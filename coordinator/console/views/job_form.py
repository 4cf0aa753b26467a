"""A new job: the form, its plan before anybody is asked, and handing it in."""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from coordinator.commands import check_models, spec_with
from coordinator.console.visit import Visit, go
from coordinator.job_commands import moment_after
from coordinator.job_file import JobFile, job_from
from coordinator.preview import Preview
from coordinator.preview import preview as plan
from coordinator.store import Store
from privacy.errors import InputError
from risk.catalogue import available_recipes
from risk.errors import InputError as RiskInputError

__all__ = ["KnownSchema", "preview", "show", "submit"]

LARGEST_SCHEMA = 1 << 20
_FIELDS = (
    "recipe",
    "purpose",
    "seed",
    "holdout",
    "max_rows",
    "epsilon",
    "delta",
    "parameters",
    "schema",
    "exactness",
    "not_before",
)


@dataclass(frozen=True, slots=True)
class KnownSchema:
    """A data dictionary that an earlier job used; digest names it in the form."""

    digest: str
    title: str
    version: str
    fields: int
    document: Mapping[str, Any]


def show(visit: Visit) -> Response:
    """Draw the form, filled in from an earlier job if `?like=` names one."""
    values = dict(_EMPTY)
    like = visit.query.get("like")
    if like:
        spec = visit.desk.store.job(like).spec
        values |= _from_spec(spec)
    return _form(visit, values)


def preview(visit: Visit) -> Response:
    """Draw the form again with the plan of the job under it, or with what is wrong."""
    values = _values(visit)
    try:
        return _form(visit, values, made=_plan(visit, _spec(visit)))
    except (InputError, RiskInputError) as error:
        return _form(visit, values, fault=error.message, status=400)


def submit(visit: Visit) -> Response:
    """Queue the job and go to its page."""
    values = _values(visit)
    try:
        spec = _spec(visit)
        if visit.form.get("step") != "submit":
            return _form(visit, values, made=_plan(visit, spec))
        job_id = visit.desk.store.add_job(spec["job"]["recipe"], spec, _not_before(values["not_before"]))
    except (InputError, RiskInputError) as error:
        return _form(visit, values, fault=error.message, status=400)
    visit.note("submit", job_id)
    return go(f"/jobs/{job_id}")


_EMPTY: Mapping[str, str] = {
    **dict.fromkeys(_FIELDS, ""),
    "recipe": "scorecard",
    "purpose": "credit-risk-model",
    "seed": "0",
    "holdout": "0.3",
    "max_rows": str(2**20),
    "exactness": "exact",
    "epsilon": "3",
    "delta": "0.000001",
}


def _form(
    visit: Visit, values: Mapping[str, str], made: Preview | None = None, fault: str = "", status: int = 200
) -> Response:
    return visit.page(
        "job_form.html.j2", status, values=values, schemas=_schemas(visit.desk.store), made=made, fault=fault,
        recipes=available_recipes(), target="/jobs/new",
    )  # fmt: skip


def _values(visit: Visit) -> dict[str, str]:
    return {name: visit.form.get(name, "") for name in _FIELDS}


def _spec(visit: Visit) -> dict[str, Any]:
    """Return what is queued for the form: the same checks as `creditmesh-coordinator submit` makes."""
    form = visit.form
    document: dict[str, Any] = {
        "job": {
            "recipe": form.get("recipe", ""),
            "schema": "schema.toml",
            "purpose": form.get("purpose", ""),
            "seed": _number(form, "seed"),
            "holdout": _share(form, "holdout"),
            "max_rows": _number(form, "max_rows"),
        },
        "parameters": _parameters(form.get("parameters", "")),
    }
    if form.get("exactness") == "dp":
        document["privacy"] = {"epsilon": form.get("epsilon", "").strip(), "delta": form.get("delta", "").strip()}
    job: JobFile = job_from(document)
    spec = spec_with(job, _schema(visit), "the data dictionary")
    check_models(visit.desk.config, job)
    return spec


def _plan(visit: Visit, spec: Mapping[str, Any]) -> Preview:
    active = sum(member.status == "active" for member in visit.desk.store.members())
    return plan(spec, active, visit.desk.config.policy.min_members)


def _schema(visit: Visit) -> dict[str, Any]:
    raw = visit.files.get("schema_file", b"")
    if raw:
        if len(raw) > LARGEST_SCHEMA:
            raise InputError("file-too-large", "the data dictionary is larger than 1 MiB")
        try:
            return tomllib.loads(raw.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise InputError("toml-syntax", f"the data dictionary is not valid TOML: {str(error)[:200]}") from error
    wanted = visit.form.get("schema", "")
    for known in _schemas(visit.desk.store):
        if known.digest == wanted:
            return dict(known.document)
    raise InputError("schema-missing", "choose a data dictionary of an earlier job, or upload a schema.toml")


def _schemas(store: Store) -> list[KnownSchema]:
    """Return the dictionaries of earlier jobs, the newest first, each once."""
    found: dict[str, KnownSchema] = {}
    for job in reversed(store.jobs()):
        document = job.spec.get("schema")
        if isinstance(document, dict):
            digest = _digest(document)
            if digest not in found:
                title, version = str(document.get("title") or document.get("name")), str(document.get("version"))
                found[digest] = KnownSchema(digest, title, version, len(document.get("field", ())), document)
    return list(found.values())


def _digest(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True, default=str).encode("utf-8")).hexdigest()


def _from_spec(spec: Mapping[str, Any]) -> dict[str, str]:
    job, asked = spec["job"], spec.get("privacy")
    values = {name: str(job[name]) for name in ("recipe", "purpose", "seed", "max_rows")}
    values["holdout"] = f"{job['holdout_ppm'] / 1e6:g}"
    values["parameters"] = "\n".join(f"{key} = {json.dumps(value)}" for key, value in spec["parameters"].items())
    values["schema"] = _digest(spec["schema"])
    if asked:
        values |= {"exactness": "dp", "epsilon": str(asked["epsilon"]), "delta": str(asked["delta"])}
    return values


def _not_before(text: str) -> int | None:
    """Return a time of the form, UTC as the page says, in microseconds; None for an empty one."""
    if not text.strip():
        return None
    return moment_after(text.strip().removesuffix("Z").replace(" ", "T") + "Z")


def _number(form: Mapping[str, str], name: str) -> int:
    text = form.get(name, "").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InputError("form-number", f"{name}: found {text[:40]!r}, expected a whole number")
    return int(text)


def _share(form: Mapping[str, str], name: str) -> float:
    try:
        return float(form.get(name, "").strip())
    except ValueError:
        raise InputError("form-number", f"{name}: expected a decimal such as 0.3") from None


def _parameters(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        raise InputError(
            "form-parameters", "parameters: expected one `name = value` a line, as in a job file"
        ) from None
