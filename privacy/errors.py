"""Errors of the privacy floor: each class says whose fault it is.

    PrivacyError
    ├── InputError         the operator's file, key or command line is wrong
    ├── MisuseError        our own bug: a call in the wrong state, an impossible argument
    ├── PeerError          the other side's message breaks the protocol
    ├── RefusalError       policy says no; everything works as it should
    └── VerificationError  a proof, signature or digest does not hold

This module does no logging and knows no transport. Theory: a caller decides by class, an operator reads the
message, and a machine reads `code`, which is stable and never translated.
"""

__all__ = ["InputError", "MisuseError", "PeerError", "PrivacyError", "RefusalError", "VerificationError"]


class PrivacyError(Exception):
    """Root of the floor's errors.

    `code` is a stable slug such as `cohort-too-small`; `message` says what was found, what was expected and what
    to do, and never holds a secret or a row's value.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class InputError(PrivacyError):
    """Report a file, key or command line of the operator's that cannot be used."""


class MisuseError(PrivacyError):
    """Report a call that our own code may not make in this state."""


class PeerError(PrivacyError):
    """Report a message of the other side that breaks the protocol."""


class RefusalError(PrivacyError):
    """Report that policy forbids what was asked."""


class VerificationError(PrivacyError):
    """Report a proof, signature or digest that does not hold."""
