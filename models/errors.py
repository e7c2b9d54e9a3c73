"""Errors, grouped by what the caller should do.

CallweaveError
├── UsageError              correct the command or the configuration; decided before anything starts (exit 2)
├── ProviderError           something between us and a provider
│   ├── CredentialsRejected     correct the key (401)
│   ├── AccessForbidden         give the key the right, or the account the plan (403)
│   ├── RecordNotFound          the provider does not hold it (404, 410)
│   ├── RequestRefused          our request is wrong for this vendor: report it to us (400, 422 and other 4xx)
│   │   └── PositionLost            a cursor of this very walk is no longer taken: begin the walk again
│   ├── ContractBroken          the answer is not what the vendor documents: report it to us or to the vendor
│   │   ├── AnswerTooLarge          it is longer than a setting allows: raise that, or report it to us
│   │   └── RangeIgnored            the list is not of the range that was asked for: the next run finds out how it is
│   └── TryAgain                nothing to do: a later try may succeed
│       ├── FailureReported         the vendor says in a 200 that it failed, with its own code and words
│       ├── RateLimited             the vendor asked for a longer wait than a run takes: it is postponed
│       └── ProviderUnavailable     the vendor or the way there is down (5xx, 408, 429, connection)
├── DatabaseUnavailable     start Postgres again, or correct DATABASE_URL; the next run continues
├── ExportFailed            give --output a file that can be written
├── PrefectUnavailable      start Prefect's server again, or correct PREFECT_API_URL and its key
├── DecisionsIncomplete     a reconciliation left records undecided: report it to us, then `callweave reconcile --full`
└── StackError              the embedded stack cannot be had: the message says what to do and names the log
    └── HomeError               give CALLWEAVE_HOME a place where a Postgres can be kept

Not for people, and caught where they are raised:

ClaimLost                   another run took this window: leave it
Rejected                    this record cannot become a row: keep it aside with the reason
"""

__all__ = [
    "AccessForbidden",
    "AnswerTooLarge",
    "CallweaveError",
    "ClaimLost",
    "ContractBroken",
    "CredentialsRejected",
    "DatabaseUnavailable",
    "DecisionsIncomplete",
    "ExportFailed",
    "FailureReported",
    "HomeError",
    "PositionLost",
    "PrefectUnavailable",
    "ProviderError",
    "ProviderUnavailable",
    "RangeIgnored",
    "RateLimited",
    "RecordNotFound",
    "Rejected",
    "RequestRefused",
    "StackError",
    "TryAgain",
    "UsageError",
    "error_for_status",
]


class CallweaveError(Exception):
    """Root of all errors that carry a sentence for people."""


class UsageError(CallweaveError):
    """Wrong usage or configuration: nothing was started."""


class DecisionsIncomplete(CallweaveError):
    """A reconciliation left records undecided, or runs of changes ended elsewhere than a run of everything."""


class ProviderError(CallweaveError):
    """Something between us and a provider."""


class CredentialsRejected(ProviderError):
    """The key is wrong, expired or revoked."""


class AccessForbidden(ProviderError):
    """The key is right and may not do this."""


class RecordNotFound(ProviderError):
    """The provider does not hold this record, or hides it from this key."""


class RequestRefused(ProviderError):
    """The provider understood the request and will never accept it."""


class PositionLost(RequestRefused):
    """A cursor that the provider itself gave is no longer taken: expired or invalid, the remedy is the same."""


class ContractBroken(ProviderError):
    """The answer is not what the vendor documents."""


class AnswerTooLarge(ContractBroken):
    """The answer is longer than `CALLWEAVE_MAX_ANSWER_BYTES`, unpacked."""


class RangeIgnored(ContractBroken):
    """The list is too long for its range, and holds none of it: records from outside came."""


class TryAgain(ProviderError):
    """A later try may succeed."""


class FailureReported(TryAgain):
    """The answer's status says success and its body says that it failed."""


class RateLimited(TryAgain):
    """The provider asked for a longer wait than a run can take: it is postponed, by `retry_after` seconds."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ProviderUnavailable(TryAgain):
    """The provider, or the way to it, is down."""


class DatabaseUnavailable(CallweaveError):
    """Postgres went away or refuses us."""


class ExportFailed(CallweaveError):
    """The file of an export cannot be written."""


class PrefectUnavailable(CallweaveError):
    """Prefect's server does not answer, or refuses us."""


STATUS_ERRORS: dict[int, type[ProviderError]] = {
    401: CredentialsRejected,
    403: AccessForbidden,
    404: RecordNotFound,
    408: ProviderUnavailable,
    410: RecordNotFound,
    429: ProviderUnavailable,
}


def error_for_status(status: int) -> type[ProviderError]:
    """The error a status stands for; every other 4xx is our mistake, everything else the provider's trouble."""
    default = RequestRefused if 400 <= status < 500 else ProviderUnavailable
    return STATUS_ERRORS.get(status, default)


class ClaimLost(Exception):
    """Another run took this window while we were away: it is theirs now."""


class Rejected(Exception):
    """This record cannot become a row; the text is the reason kept beside it."""


class StackError(CallweaveError):
    """The embedded stack cannot be had; the message says what to do and which log knows more."""


class HomeError(StackError):
    """`CALLWEAVE_HOME` is a place where a Postgres cannot be kept."""
