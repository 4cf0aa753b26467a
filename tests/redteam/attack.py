"""An attack: who plays it, what has to stop it, and what it would win.

`play` really runs the attacker. It ends in the refusal of an honest side, or, if nothing stops it, proves with an
assert that the attacker has what it came for. `unguarded` takes the checks out of the running code, in this process
and for as long as it is open; the attack has to succeed then, or the test could not fail.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

from privacy.errors import PrivacyError

__all__ = ["ATTACKS", "Attack", "HeldError", "attack", "together", "without"]


class HeldError(PrivacyError):
    """Say that nothing was refused and the attacker still learned nothing."""


@dataclass(frozen=True)
class Attack:
    """One attack of the list. number: as in the list; parts of one have a letter. code: the refusal it ends in."""

    number: str
    name: str
    refuses: str
    where: str
    code: str
    without_the_check: str
    play: Callable[[], None]
    unguarded: Callable[[], AbstractContextManager[Any]]


ATTACKS: list[Attack] = []


def attack(
    number: str, refuses: tuple[str, str], code: str, *, without: str, unguarded: Callable[[], Any]
) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Put a function into the suite; its name and docstring tell the attack. refuses: who, and where in the code."""

    def take(play: Callable[[], None]) -> Callable[[], None]:
        name = inspect.getdoc(play) or play.__name__
        ATTACKS.append(Attack(number, name.splitlines()[0].rstrip("."), *refuses, code, without, play, unguarded))
        return play

    return take


@contextmanager
def without(*checks: tuple[Any, str]) -> Iterator[None]:
    """Take refusals out of the running code: every `raise` in a function that carries this code does nothing."""
    codes: dict[FunctionType, set[str]] = {}
    for function, code in checks:
        codes.setdefault(_plain(function), set()).add(code)
    with ExitStack() as stack:
        for plain, these in codes.items():
            stack.enter_context(_stripped(plain, these))
        yield


@contextmanager
def together(*managers: AbstractContextManager[Any]) -> Iterator[None]:
    """Hold several things open at once."""
    with ExitStack() as stack:
        for manager in managers:
            stack.enter_context(manager)
        yield


@contextmanager
def _stripped(function: FunctionType, codes: set[str]) -> Iterator[None]:
    original = function.__code__
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    remover = _Remover(codes)
    tree = ast.fix_missing_locations(remover.visit(tree))
    assert remover.removed == codes, f"{function.__qualname__} raises no {codes - remover.removed}"
    compiled = compile(tree, inspect.getfile(function), "exec")
    body = next(each for each in compiled.co_consts if isinstance(each, CodeType))
    function.__code__ = body
    try:
        yield
    finally:
        function.__code__ = original


class _Remover(ast.NodeTransformer):
    def __init__(self, codes: set[str]) -> None:
        self.codes = codes
        self.removed: set[str] = set()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.decorator_list = []
        node.returns = None
        for argument in [*node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]:
            if argument:
                argument.annotation = None
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        call = node.exc
        arguments = call.args if isinstance(call, ast.Call) else []
        said = {each.value for each in arguments if isinstance(each, ast.Constant) and isinstance(each.value, str)}
        # A code that is looked up goes by the name of whoever knows it.
        said |= {
            each.func.attr for each in arguments if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute)
        }
        self.removed |= said & self.codes
        return ast.Pass() if said & self.codes else node


def _plain(function: Any) -> FunctionType:
    plain = function.fget if isinstance(function, property) else function
    assert isinstance(plain, FunctionType)
    return plain
