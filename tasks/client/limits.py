"""What one provider may cost us: bytes and seconds of an answer, seconds of a pause, requests of a scan."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of `CALLWEAVE_MAX_…`, see docs/operating.md."""

    answer_bytes: int = 16 * 2**20
    """Of one answer, unpacked. Five times the largest page that a vendor documents."""
    answer_seconds: float = 60.0
    """From the request until the last byte of its answer."""
    pause_seconds: float = 120.0
    """That a run waits where it is asked to; a longer pause ends the run, and the first one after it goes on."""
    scan_requests: int = 100_000
    """Of one reading of a list that cannot be bounded by time: ten million records at a hundred a page."""
    details_requests: int = 100
    """Of the second list of one record, such as all identifiers of a contact."""
