"""Which of a bank's own tables become which fields of the data dictionary, read from `connectors.toml`.

    [database.NAME]   url, password_env | password_file      where SQL runs; a password never stands in the file
    [applications]    file | sql + database; application, applicant, decided, target?, accepted?, borrower?
    [outcomes]        file | sql + database; application, result, on, values?     for `creditmesh-node outcomes`
    [source.NAME]     file | sql + database; key, as_of, known?, consent?, consent_required, match?, date_format?
    [source.NAME.coverage]   file | sql + database; key, as_of, consent?    who was asked about, and when
    [field.NAME]      take, source, column, months | days, where, group, top, of, over, values, scale, outside

Paths are relative to the file. This module reads no table. Theory: a mapping is a value of a small closed language, so
it can be read by whoever signs it off, is computed alike for ten million rows and for one applicant, and can do nothing
but what is listed in `node.connectors.takes`; the only free text is a SELECT that the bank writes for its own database.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from node.toml_file import RelativePath, Section, read_model
from privacy.errors import InputError
from risk.dictionary import Dictionary
from risk.dictionary import Field as Declared

__all__ = [
    "Applications",
    "Connectors",
    "Coverage",
    "Database",
    "Origin",
    "Outcomes",
    "Ratio",
    "Role",
    "Source",
    "Take",
    "Taken",
    "Where",
    "load_connectors",
]

Role = Literal["text", "number", "date"]
Kind = (
    Literal["latest", "sum", "mean", "min", "max", "count", "distinct", "exists"]
    | Literal["active_months", "cv_monthly", "growth", "months_since", "top_share"]
)
Outside = Literal["refuse", "clip", "missing"]
MAX_MONTHS = 600
MAX_DAYS = 18_300

# By kind: the role of its column (None: it takes none), and whether a window is needed, may stand, or may not.
_NEEDS: dict[str, tuple[Role | None, Literal["window", "months", "either", "none"]]] = {
    "latest": ("number", "either"),
    "sum": ("number", "window"),
    "mean": ("number", "window"),
    "min": ("number", "window"),
    "max": ("number", "window"),
    "count": (None, "window"),
    "distinct": ("text", "window"),
    "exists": (None, "window"),
    "active_months": (None, "months"),
    "cv_monthly": ("number", "months"),
    "growth": ("number", "months"),
    "months_since": ("date", "none"),
    "top_share": ("number", "window"),
}


def _like(pattern: str, expected: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(expected)
        return value

    return AfterValidator(check)


_SELECT = r"(?is)\s*(select|with)\b[^;]*;?\s*"
Name = Annotated[str, _like("[a-z][a-z0-9_]{0,62}", "1 to 63 of a-z, 0-9 and _, starting with a letter")]
Column = Annotated[str, _like(r"[^\x00-\x1f\x7f]{1,128}", "a column's name")]
Select = Annotated[str, _like(_SELECT, "one SELECT without ';' inside")]
DateFormat = Annotated[str, _like("(?=.*%Y)(?=.*%m)(?=.*%d).{6,64}", "a format with %Y, %m and %d")]


def _list_of_tables(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _beside_file(value: str, validation: ValidationInfo) -> str:
    folder: Path = (validation.context or {}).get("folder", Path())
    name = value.removeprefix("sqlite:///")
    return value if name == value else f"sqlite:///{folder / Path(name)}"


class Database(Section):
    """One database: a SQLAlchemy URL without a password, and where the password is.

    url: a SQLite file is taken relative to the settings' folder. password_env: name of an environment variable.
    password_file: a file of mode 0600 that holds it alone.
    """

    url: Annotated[
        str, _like(r"[a-z][a-z0-9+_]*:.{2,1000}", "a URL as SQLAlchemy writes them"), AfterValidator(_beside_file)
    ]
    password_env: Annotated[str, _like("[A-Za-z_][A-Za-z0-9_]{0,127}", "a variable's name")] | None = None
    password_file: RelativePath | None = None

    @model_validator(mode="after")
    def _one_place(self) -> "Database":
        if self.password_env is not None and self.password_file is not None:
            raise ValueError("password_env or password_file, not both")
        return self


class Origin(Section):
    """Where rows come from: a CSV or Parquet file, or a SELECT that the bank wrote."""

    file: RelativePath | None = None
    sql: Select | None = None
    database: Name | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> "Origin":
        if (self.file is None) == (self.sql is None) or (self.sql is None) != (self.database is None):
            raise ValueError("either file, or sql with database")
        return self


class Applications(Origin):
    """`[applications]`: who asked and when it was decided, one row each; target says how it ended."""

    application: Column
    applicant: Column
    decided: Column
    target: Column | None = None
    accepted: Column | None = None
    borrower: Column | None = None
    date_format: DateFormat | None = None


class Outcomes(Origin):
    """`[outcomes]`: how loans ended, by application; values: what the texts of `result` mean, if not these two."""

    application: Column
    result: Column
    on: Column
    values: dict[str, Literal["repaid", "bad"]] = Field(default={"repaid": "repaid", "bad": "bad"}, min_length=1)
    date_format: DateFormat | None = None


class Coverage(Origin):
    """Who was asked about at a source and when: an applicant without a record there has none, and is not unknown."""

    key: Column
    as_of: Column
    consent: Column | None = None
    date_format: DateFormat | None = None


class Source(Origin):
    """`[source.NAME]`: one source system's records.

    key: whom a record is about. match: the column of the applications that it equals (default: the applicant).
    as_of: the day the record speaks of; known: the day the bank had it, where that is later. consent: reference of the
    consent that the record is used under. consent_required: a record without one is dropped and counted.
    """

    key: Column
    as_of: Column
    known: Column | None = None
    consent: Column | None = None
    consent_required: bool
    match: Column | None = None
    date_format: DateFormat | None = None
    coverage: Coverage | None = None

    @property
    def consent_stands_in(self) -> Literal["records", "coverage"] | None:
        """Return which of the two tables carries the consent references, or None."""
        if self.coverage is not None and self.coverage.consent is not None:
            return "coverage"
        return None if self.consent is None else "records"

    @model_validator(mode="after")
    def _has_consent(self) -> "Source":
        if self.consent_required and self.consent_stands_in is None:
            raise ValueError("a column consent, since consent_required is true")
        return self


class Where(Section):
    """A condition on a record: a column `equals` a text or number, or lies `above` / `below` a number."""

    column: Column
    equals: str | int | float | None = None
    above: float | int | None = None
    below: float | int | None = None

    @model_validator(mode="after")
    def _one_condition(self) -> "Where":
        if sum(value is not None for value in (self.equals, self.above, self.below)) != 1:
            raise ValueError("one of equals, above and below")
        return self

    @property
    def role(self) -> Role:
        """Return how the column is read."""
        return "text" if isinstance(self.equals, str) else "number"


class Take(Section):
    """What is taken from one source's records about an applicant; `node.connectors.takes` has the formulas."""

    source: Name
    take: Kind
    column: Column | None = None
    months: int | None = Field(default=None, ge=1, le=MAX_MONTHS)
    days: int | None = Field(default=None, ge=1, le=MAX_DAYS)
    where: Annotated[tuple[Where, ...], BeforeValidator(_list_of_tables)] = ()
    group: Column | None = None
    top: int | None = Field(default=None, ge=1, le=100)

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> "Take":
        role, window = _NEEDS[self.take]
        if (role is None) != (self.column is None):
            raise ValueError(f"take {self.take} {'with' if role else 'without'} a column")
        if (self.take == "top_share") != (self.group is not None and self.top is not None):
            raise ValueError("group and top with take top_share, and with no other")
        given = (self.months is not None) + (self.days is not None)
        if window == "months" and (self.months is None or self.days is not None):
            raise ValueError(f"take {self.take} with months")
        if given != 1 and window == "window":
            raise ValueError(f"take {self.take} with either months or days")
        if given > (window != "none"):
            raise ValueError(f"take {self.take} without this window")
        return self


class Taken(Take):
    """`[field.NAME]`: a field that is one take.

    values: what the texts of `latest` mean: numbers, or levels of a category. scale: factor of a number. outside: what
    becomes of a number beyond the dictionary's bounds.
    """

    values: dict[str, str | int | float] | None = Field(default=None, min_length=1)
    scale: float | int | None = None
    outside: Outside = "refuse"

    @model_validator(mode="after")
    def _values_of_latest(self) -> "Taken":
        if self.values is not None and self.take != "latest":
            raise ValueError("values only with take latest")
        return self

    @property
    def parts(self) -> tuple[Take, ...]:
        """Return the one take."""
        return (self,)


class Ratio(Section):
    """`[field.NAME]` with `take = "ratio"`: what is taken by `of` over what is taken by `over`."""

    take: Literal["ratio"]
    of: Take
    over: Take
    values: None = None
    scale: float | int | None = None
    outside: Outside = "refuse"

    @property
    def parts(self) -> tuple[Take, ...]:
        """Return numerator and denominator."""
        return (self.of, self.over)


Mapped = Annotated[Taken | Ratio, Field(discriminator="take")]


class Connectors(Section):
    """A whole `connectors.toml`."""

    database: dict[Name, Database] = Field(default_factory=dict)
    applications: Applications
    outcomes: Outcomes | None = None
    source: dict[Name, Source] = Field(min_length=1)
    field: dict[str, Mapped] = Field(min_length=1)

    def columns(self, source: str, dictionary: Dictionary) -> dict[str, Role]:
        """Return the columns of a source that fields read, and how; raises `ValueError` for one read in two ways."""
        roles: dict[str, Role] = {}
        for name, mapped in self.field.items():
            texts = mapped.values is not None or dictionary.field(name).kind == "category"
            for part in mapped.parts:
                for column, role in _roles(part, texts) if part.source == source else ():
                    if roles.setdefault(column, role) != role:
                        raise ValueError(f"column {column} is read as {role} (field.{name}) and as {roles[column]}")
        return roles

    def origins(self) -> Iterator[tuple[str, Origin]]:
        """Yield every table by the name of its copy."""
        yield "applications", self.applications
        for name, source in self.source.items():
            yield name, source
            if source.coverage is not None:
                yield f"{name}-coverage", source.coverage


def _roles(part: Take, texts: bool) -> Iterator[tuple[str, Role]]:
    role = _NEEDS[part.take][0]
    if part.column is not None and role is not None:
        yield part.column, "text" if texts else role
    if part.group is not None:
        yield part.group, "text"
    for where in part.where:
        yield where.column, where.role


def load_connectors(path: Path, dictionary: Dictionary) -> Connectors:
    """Return the mappings in the file at `path`, held against the dictionary.

    Raises `InputError` with one line: file, key, what was found, what was expected.
    """
    connectors = read_model(Path(path), Connectors)
    for place, fault in _faults(connectors, dictionary):
        raise InputError("connectors", f"{path}: {place}: {fault}")
    return connectors


def _faults(connectors: Connectors, dictionary: Dictionary) -> Iterator[tuple[str, str]]:
    tables = list(connectors.origins())
    for name, origin in tables if connectors.outcomes is None else [*tables, ("outcomes", connectors.outcomes)]:
        if origin.database is not None and origin.database not in connectors.database:
            yield name, f"database {origin.database} is not declared; add [database.{origin.database}]"
    if "applications" in connectors.source:
        yield "source.applications", "this name is taken by [applications]; give the source another"
    declared = {field.name: field for field in dictionary.fields if field.use != "ignore"}
    for name, mapped in connectors.field.items():
        if name not in declared:
            yield f"field.{name}", "the data dictionary declares no such field for use; remove it or correct its name"
            return
        for part in mapped.parts:
            if part.source not in connectors.source:
                yield f"field.{name}", f"source {part.source} is not declared; add [source.{part.source}]"
        fault = _kind_fault(declared[name], mapped)
        if fault:
            yield f"field.{name}", fault
    for name in connectors.source:
        try:
            connectors.columns(name, dictionary)
        except ValueError as error:
            yield f"source.{name}", str(error)


def _kind_fault(declared: Declared, mapped: Taken | Ratio) -> str | None:
    meanings = () if mapped.values is None else tuple(mapped.values.values())
    if declared.kind == "category":
        if not isinstance(mapped, Taken) or mapped.take != "latest" or mapped.scale is not None:
            return "the dictionary calls it a category; expected take latest, without scale"
        unknown = sum(value not in declared.levels for value in meanings)
        return f"values: {unknown} are no level of the dictionary" if unknown else None
    if any(isinstance(value, str) for value in meanings):
        return f"the dictionary calls it a {declared.kind}; expected values that are numbers"
    if declared.kind == "flag" and mapped.take not in ("latest", "exists"):
        return "the dictionary calls it a flag; expected take latest or exists"
    return None
