"""Errors of the risk floor: each class says whose fault it is.

    RiskError
    ├── InputError         the operator's file, key or command line is wrong
    ├── MisuseError        our own bug: a call in the wrong state, an impossible argument
    └── RefusalError       policy says no; everything works as it should

This module does no logging. Theory: a caller decides by class, an operator reads the
message, and a machine reads `code`, which is stable and never translated.
"""

__all__ = ["InputError", "MisuseError", "RefusalError", "RiskError"]


class RiskError(Exception):
    """Root of the floor's errors.

    `code` is a stable slug such as `column-undeclared`; `message` says what was found, what was expected and what
    to do, and never holds a row's value.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class InputError(RiskError):
    """Report a file, key or command line of the operator's that cannot be used."""


class MisuseError(RiskError):
    """Report a call that our own code may not make in this state."""


class RefusalError(RiskError):
    """Report that policy forbids what was asked."""
