"""A window as it is read: what it covers, and where in its list it begins and ends."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from models.coverage import Span
from models.pagination import Position
from models.vocabulary import Origin
from models.wording import minute


@dataclass(frozen=True, slots=True)
class Part:
    """What makes a window a part of a scan: a run of pages, not a stretch of time."""

    scan_id: str
    position: Position
    """Where in the scan's list the part begins."""
    end_position: Position | None = None
    """Where the next part begins; None: where reading this one ends."""
    exhaustive: bool = False
    """The scan reads to the list's end, and so checks the order that lets other scans stop early."""
    doubted: bool = False
    """The provider's total is not believed, so each part is read until two readings are alike."""

    @property
    def row(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Claim:
    """A window that is ours to read."""

    id: int
    span: Span | None
    origin: Origin
    drifts: int
    began_at: datetime
    part: Part | None = None

    def __str__(self) -> str:
        """For a log: `window 12, 2026-11-20 12:00Z to 2026-11-20 13:00Z`, and where in a counted list a part begins."""
        span = f", {minute(self.span.since)} to {minute(self.span.until)}" if self.span else ""
        part = f", part at {self.part.position}" if self.part and self.part.position.isdigit() else ""
        return f"window {self.id}{span}{part}"
