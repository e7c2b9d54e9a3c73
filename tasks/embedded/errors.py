from models.errors import CallweaveError


class StackError(CallweaveError):
    """The embedded stack cannot be had; the message says what to do and which log knows more."""


class HomeError(StackError):
    """`CALLWEAVE_HOME` is a place where a Postgres cannot be kept."""
