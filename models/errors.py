"""Errors, grouped by what the caller should do.

CallweaveError
├── UsageError             correct the command or the configuration; decided before anything starts (exit 2)
├── ProviderError          something between us and a provider
│   ├── CredentialsRejected    correct the key (401)
│   ├── AccessForbidden        give the key the right, or the account the plan (403)
│   ├── RecordNotFound         the provider does not hold it (404, 410)
│   ├── RequestRefused         our request is wrong for this vendor: tell us (400, 422 and other 4xx)
│   │   └── PositionLost           a cursor of this very walk is no longer taken: begin the walk again
│   ├── ContractBroken         the answer is not what the vendor documents: tell us or the vendor
│   └── TryAgain               nothing to do: a later try may succeed
│       ├── RateLimited            the vendor asked us to wait (429)
│       └── ProviderUnavailable    the vendor or the way there is down (5xx, connection)
└── DatabaseUnavailable    start Postgres again, or correct DATABASE_URL; the next run continues
"""


class CallweaveError(Exception):
    """Root of all errors that carry a sentence for people."""


class UsageError(CallweaveError):
    """Wrong usage or configuration: nothing was started."""


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


class TryAgain(ProviderError):
    """A later try may succeed."""


class RateLimited(TryAgain):
    """The provider asked for a longer wait than a request can take."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ProviderUnavailable(TryAgain):
    """The provider, or the way to it, is down."""


class DatabaseUnavailable(CallweaveError):
    """Postgres went away or refuses us."""


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
