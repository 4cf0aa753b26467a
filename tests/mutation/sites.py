"""Find the checks of a module by its syntax tree, and the edit that takes each of them out.

It runs nothing. Theory (DeMillo, Lipton and Sayward, "Hints on Test Data Selection", 1978, with removal as the only
operator): a check is whatever stands between a bad message and the next step. That is a `raise` under a condition, each
half of a condition that has halves, a call made for its refusal alone, a message thrown away unread, a row of a table
of rules, a value given only on a condition, and what a member must note or forget so that a later check has something
to stand on. Each site also names the statements at which the check would speak up: only a test that makes one of them
speak can tell the code with the check from the code without it.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Anchor", "Site", "find_sites"]

ERRORS = {"PeerError", "RefusalError", "VerificationError", "MisuseError", "InputError", "ValueError"}
# Calls made for their refusal: as a statement of their own they do nothing else.
CHECKS = re.compile(
    r"_?check\w*|expect|verify|_in|_digests|_members|_short|_document|may_exclude|from_bytes|parse_headers|relayed"
)
# Calls that return what they checked, and the same value unchecked; {0} is the first argument.
UNCHECKED = {
    "_take": "{0}.message",
    "relayed": "open_envelope({0}, {4})",
    "check_opened": "tuple({1}[: len({0}.survivors)])",
    "_check_cohort": "False",
}
# Calls by which somebody notes what a later check relies on.
NOTES = re.compile(r"vote|exclude|join|discard|add|_step|_write|drop_sum")
STEPS = {"self.state", "self.phase", "self.position"}
_SPLIT = {"_digests"}


@dataclass(frozen=True, slots=True)
class Anchor:
    """A simple statement, by its offset in the file's bytes; spoken: it counts when it raises, else when it runs."""

    offset: int
    spoken: bool


@dataclass(frozen=True, slots=True)
class Site:
    """One check: where it stands, what it says, and the edit of the file's bytes that removes it."""

    path: str
    function: str
    line: int
    code: str
    edit: tuple[int, int, str]
    anchors: tuple[Anchor, ...]

    @property
    def name(self) -> str:
        """Return what names the check when lines move: file, function and code."""
        return f"{self.path} {self.function}: {self.code}"

    def remove(self, source: bytes) -> bytes:
        """Return the file without this check."""
        start, end, text = self.edit
        return source[:start] + text.encode() + source[end:]


def find_sites(path: str, source: bytes, functions: frozenset[str] = frozenset()) -> list[Site]:
    """Return every check of a file, in order; functions: look into these alone, empty for all."""
    finder = _Finder(path, source)
    finder.body(ast.parse(source).body, "")
    found = [site for site in finder.found if not functions or site.function in functions]
    seen: dict[str, int] = {}
    named: list[Site] = []
    for site in sorted(found, key=lambda each: (each.line, each.edit)):
        at = f"{site.function} {site.code}"
        seen[at] = count = seen.get(at, 0) + 1
        code = site.code if count == 1 else f"{site.code} #{count}"
        named.append(Site(site.path, site.function, site.line, code, site.edit, site.anchors))
    return named


class _Finder:
    def __init__(self, path: str, source: bytes) -> None:
        self.path = path
        self.found: list[Site] = []
        self._source = source
        self._starts = [0]
        for line in source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._raises = [self._anchor(item) for item in ast.walk(ast.parse(source)) if isinstance(item, ast.Raise)]

    def body(self, statements: list[ast.stmt], function: str) -> None:
        """Look through a block."""
        for item in statements:
            if isinstance(item, ast.ClassDef):
                self.body(item.body, item.name)
            elif isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
                self.body(item.body, f"{function}.{item.name}" if function else item.name)
            else:
                self._statement(item, function)

    def _statement(self, item: ast.stmt, function: str) -> None:
        if isinstance(item, ast.If):
            self._condition(item, function)
        for block in ("body", "orelse", "finalbody"):
            self.body(getattr(item, block, []), function)
        for handler in getattr(item, "handlers", []):
            self._block(handler.body, f"except {_text(handler.type)}: ", function)
        if isinstance(item, ast.Expr | ast.Assign | ast.AnnAssign | ast.Return):
            self._simple(item, function)
        elif isinstance(item, ast.Raise):
            self._raise(item, "", function)

    def _block(self, statements: list[ast.stmt], why: str, function: str) -> None:
        for item in statements:
            if isinstance(item, ast.Raise):
                self._raise(item, why, function)
            else:
                self._statement(item, function)

    # -- conditions and what they lead to ---------------------------------------------------------------------------

    def _condition(self, item: ast.If, function: str) -> None:
        last = item.body[-1]
        silent = isinstance(last, ast.Return) and isinstance(last.value, ast.List | ast.Tuple) and not last.value.elts
        code = f"if {_text(item.test)}: "
        if silent and not item.orelse:
            self._add(function, last, f"{code}{_text(last)}", (last, "pass"), (self._anchor(last, spoken=False),))
        elif isinstance(last, ast.Raise):
            self._raise(last, code, function)
        else:
            return
        operands = [item.test]
        if isinstance(item.test, ast.BoolOp) and isinstance(item.test.op, ast.Or):
            operands = item.test.values
            for operand in operands:
                self._half(function, item, operand, "False", _text(operand))
        for operand in operands:
            for without, what in _halves(operand):
                self._half(function, item, operand, without, what)

    def _half(self, function: str, item: ast.If, operand: ast.expr, text: str, what: str) -> None:
        last = item.body[-1]
        code = f"half `{what}` of: {_short(last)}"
        self._add(function, operand, code, (operand, text), (self._anchor(last, spoken=isinstance(last, ast.Raise)),))

    def _raise(self, item: ast.Raise, why: str, function: str) -> None:
        if any(site.edit[0] == self._at(item) for site in self.found):
            return
        named = isinstance(item.exc, ast.Name)
        known = isinstance(item.exc, ast.Call) and isinstance(item.exc.func, ast.Name) and item.exc.func.id in ERRORS
        if named or known or (isinstance(item.exc, ast.Name) and item.exc.id in ERRORS):
            self._add(function, item, why + _short(item), (item, "pass"), (self._anchor(item),))

    # -- simple statements ------------------------------------------------------------------------------------------

    def _simple(self, item: ast.Expr | ast.Assign | ast.AnnAssign | ast.Return, function: str) -> None:
        value = item.value
        called = _called(value)
        if isinstance(item, ast.Expr) and isinstance(value, ast.Call) and called:
            self._call(item, value, called, function)
        if isinstance(item, ast.Return) and called == "RefusalError":
            self._add(function, item, _short(item), (item, "return None"), (self._anchor(item, spoken=False),))
        if isinstance(item, ast.Assign):
            self._assignment(item, function)
        if isinstance(item, ast.AnnAssign) or (isinstance(item, ast.Assign) and not function):
            self._ranges(item, function)
        if value is not None:
            self._inside(item, value, function)

    def _call(self, item: ast.Expr, call: ast.Call, called: str, function: str) -> None:
        text = _text(item)
        if CHECKS.fullmatch(called):
            self._add(function, item, text, (item, "pass"), (self._anchor(item),))
            if called in _SPLIT and len(call.args) > 1:
                for place, argument in enumerate(call.args):
                    kept = ", ".join(_text(each) for each in call.args[:place] + call.args[place + 1 :])
                    code = f"half `{_text(argument)}` of: {text}"
                    self._add(function, item, code, (item, f"{called}({kept})"), (self._anchor(item),))
        elif called == "setdefault" and isinstance(call.func, ast.Attribute):
            key, given = (_text(each) for each in call.args)
            later = f"{_text(call.func.value)}[{key}] = {given}"
            self._add(function, item, f"the first stays: {text}", (item, later), (self._anchor(item, spoken=False),))
        elif NOTES.fullmatch(called) and len(call.args) + len(call.keywords) <= 2:
            self._add(function, item, text, (item, "pass"), (self._anchor(item, spoken=False),))

    def _assignment(self, item: ast.Assign, function: str) -> None:
        target = _text(item.targets[0])
        ran = (self._anchor(item, spoken=False),)
        nothing = re.fullmatch(r"\(?None(, None)*\)?", _text(item.value))
        if target == "_":
            self._add(function, item, _text(item), (item, "pass"), (self._anchor(item),))
        elif "__init__" not in function and (("self." in target and nothing) or target in STEPS):
            self._add(function, item, _text(item), (item, "pass"), ran)
        elif target == "rules" and isinstance(item.value, ast.Tuple):
            for rule in item.value.elts:
                assert isinstance(rule, ast.Tuple)
                self._add(function, rule, f"rule {_text(rule.elts[0])}", (rule.elts[0], "True"), ran)

    def _ranges(self, item: ast.Assign | ast.AnnAssign, function: str) -> None:
        if not isinstance(item.value, ast.Dict) or "_LIMITS" not in _text(item).split("=")[0]:
            return
        for key, limits in zip(item.value.keys, item.value.values, strict=True):
            assert isinstance(limits, ast.Tuple)
            for side, bound, wide in zip(("low", "high"), limits.elts, ("-(2**99)", "2**99"), strict=True):
                code = f"{side} {_text(bound)} of {_text(key)}"
                self._add(function, bound, code, (bound, wide), tuple(self._raises))

    def _inside(self, item: ast.stmt, value: ast.expr, function: str) -> None:
        for part in ast.walk(value):
            called = _called(part)
            guarded = isinstance(part, ast.IfExp) and not isinstance(part.test, ast.Name | ast.Attribute)
            if guarded and isinstance(part, ast.IfExp) and _text(part.orelse) in {"()", "None", "b''", "''", "[]"}:
                what = (part, _text(part.body))
                self._add(function, part, f"only: {_text(part)}", what, (self._anchor(item, spoken=False),))
            elif isinstance(part, ast.Call) and called in UNCHECKED and part is not _statement_call(item):
                text = UNCHECKED[called].format(*(_text(each) for each in part.args))
                self._add(function, item, f"unchecked: {_text(part)}", (part, text), (self._anchor(item),))

    # -- places -----------------------------------------------------------------------------------------------------

    def _add(
        self, function: str, item: ast.AST, code: str, edit: tuple[ast.AST, str], anchors: tuple[Anchor, ...]
    ) -> None:
        removed, text = edit
        place = (self._at(removed), self._end(removed), text)
        self.found.append(Site(self.path, function, getattr(item, "lineno", 0), code, place, anchors))

    def _anchor(self, item: ast.stmt, spoken: bool = True) -> Anchor:
        return Anchor(self._at(item), spoken)

    def _at(self, item: ast.AST) -> int:
        return self._starts[item.lineno - 1] + item.col_offset  # type: ignore[attr-defined]

    def _end(self, item: ast.AST) -> int:
        return self._starts[item.end_lineno - 1] + item.end_col_offset  # type: ignore[attr-defined]


def _halves(operand: ast.expr) -> Iterator[tuple[str, str]]:
    """Yield (condition without one half, that half) for a range and for a comparison of several things at once."""
    inner = operand.operand if isinstance(operand, ast.UnaryOp) and isinstance(operand.op, ast.Not) else None
    if isinstance(inner, ast.Compare) and len(inner.ops) > 1:
        terms = [inner.left, *inner.comparators]
        sides = [_text(ast.Compare(terms[at], [inner.ops[at]], [terms[at + 1]])) for at in range(len(inner.ops))]
        for at, side in enumerate(sides):
            yield f"not ({' and '.join(sides[:at] + sides[at + 1 :])})", side
    if isinstance(operand, ast.Compare) and isinstance(operand.ops[0], ast.NotEq):
        left, right = operand.left, operand.comparators[0]
        if isinstance(left, ast.Tuple) and isinstance(right, ast.Tuple) and len(left.elts) == len(right.elts):
            pairs = [f"{_text(one)} != {_text(other)}" for one, other in zip(left.elts, right.elts, strict=True)]
            for at, pair in enumerate(pairs):
                yield " or ".join(pairs[:at] + pairs[at + 1 :]), pair


def _called(item: ast.AST | None) -> str:
    if not isinstance(item, ast.Call):
        return ""
    if isinstance(item.func, ast.Attribute):
        return item.func.attr
    return item.func.id if isinstance(item.func, ast.Name) else ""


def _statement_call(item: ast.stmt) -> ast.expr | None:
    return item.value if isinstance(item, ast.Expr) else None


def _text(item: ast.AST | None) -> str:
    return " ".join(ast.unparse(item).split()) if item is not None else "BaseException"


def _short(item: ast.stmt) -> str:
    """Return a raise or return as its error and code, without the sentence."""
    value = item.exc if isinstance(item, ast.Raise) else item.value if isinstance(item, ast.Return) else None
    if isinstance(value, ast.Call) and value.args:
        word = "raise" if isinstance(item, ast.Raise) else "return"
        return f"{word} {_text(value.func)}({_text(value.args[0])})"
    return _text(item)
