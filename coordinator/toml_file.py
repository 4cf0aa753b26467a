"""Read a TOML file into a frozen pydantic model, or say in one line what is wrong with it.

This module knows no setting by name. Theory: a configuration is checked whole before anything starts, unknown keys
are refused, and the operator reads the file, the key, what was found and what was expected, never a traceback. What
was found is named by its kind alone unless it is a number, because a secret may have been pasted into the wrong key.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, ValidationInfo

from privacy.errors import InputError

__all__ = ["LARGEST_BYTES", "RelativePath", "Section", "model_of", "read_document", "read_model"]

# A hand-written file is far smaller; a larger one is some other file given by mistake.
LARGEST_BYTES = 1 << 20

_KINDS = {
    bool: "true/false",
    int: "an integer",
    float: "a decimal number",
    str: "text",
    list: "a list",
    dict: "a table",
}


class Section(BaseModel):
    """One table of a TOML file: frozen, strict in its types, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _beside_file(value: Any, validation: ValidationInfo) -> Any:
    if not isinstance(value, str):
        raise ValueError("a path in quotes")
    if not value or "\0" in value:
        raise ValueError("a path that is not empty")
    folder: Path = (validation.context or {}).get("folder", Path())
    return folder / Path(value).expanduser()


# A path as written in the file, taken relative to that file's folder.
RelativePath = Annotated[Path, BeforeValidator(_beside_file)]

Model = TypeVar("Model", bound=BaseModel)


def read_document(path: Path) -> dict[str, Any]:
    """Return the TOML document in `path`.

    Raises `InputError` for a file that is missing, unreadable, above 1 MiB, not UTF-8 or not TOML.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(LARGEST_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise InputError("file-unreadable", f"{path}: cannot be read ({reason})") from error
    if len(raw) > LARGEST_BYTES:
        raise InputError("file-too-large", f"{path}: larger than 1 MiB; expected a TOML file")
    try:
        return tomllib.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError("toml-encoding", f"{path}: not UTF-8 text at byte {error.start}; save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError("toml-syntax", f"{path}: not valid TOML: {error}") from error
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else "a number or date that is too large"
        raise InputError("toml-syntax", f"{path}: not usable TOML: {reason}") from error


def read_model(path: Path, model: type[Model]) -> Model:
    """Return the file at `path` as a `model`; paths in it are relative to its folder.

    Raises `InputError` with file, key, what was found and what was expected; the first fault is told in full and the
    others are counted.
    """
    return model_of(read_document(path), model, str(path), path.parent)


def model_of(document: dict[str, Any], model: type[Model], where: str, folder: Path) -> Model:
    """Return a document as a `model`. where: what to call it in errors; folder: what paths in it are relative to."""
    try:
        return model.model_validate(document, context={"folder": folder})
    except ValidationError as error:
        # A misspelt key shows as an unknown one and a missing one; the first of the two says more.
        faults = sorted(error.errors(include_url=False), key=lambda fault: fault["type"] != "extra_forbidden")
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        code, text = _explain(faults[0])
        raise InputError(code, f"{where}: {text}{more}") from None


def _explain(fault: Any) -> tuple[str, str]:
    key = ".".join(str(step) for step in fault["loc"]) or "the file"
    found, kind = fault.get("input"), fault["type"]
    if kind == "extra_forbidden":
        return "key-unknown", f"unknown key {key}; remove it or correct its spelling"
    if kind == "missing":
        return "key-missing", f"key {key} is missing; add it"
    expected = fault["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    expected = expected.replace("a valid string", "text in quotes").replace("valid ", "")
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        expected = f"a table [{key}]"
    return "key-value", f"{key}: found {_describe(found)}, expected {expected}"


def _describe(found: Any) -> str:
    if isinstance(found, bool) or not isinstance(found, int | float):
        kind = _KINDS.get(type(found), "a date or time")
        return "empty text" if found == "" else kind
    text = repr(found) if isinstance(found, float) or abs(found) < 10**18 else "a very large integer"
    return text
