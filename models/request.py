"""What a run is asked to do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ValidationError

from models.errors import (
    UsageError,
)
from models.provider import Params, Stream
from models.vocabulary import StreamName


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a run is asked to do, as the flows' parameters spell it. Raises `UsageError` for what cannot be meant."""

    streams: tuple[StreamName, ...] = tuple(StreamName)
    since: datetime | None = None
    until: datetime | None = None
    full: bool = False
    call_ids: tuple[str, ...] = ()
    filters: Mapping[str, Any] = field(default_factory=dict)
    allow_deletes: bool = False
    backfill: bool = False

    def __post_init__(self) -> None:
        for name, moment in (("since", self.since), ("until", self.until)):
            if moment is not None and moment.tzinfo is None:
                raise UsageError(f"{name}: {moment.isoformat()} has no time zone; write 2026-01-31T00:00:00Z.")
        if self.since and self.until and self.since >= self.until:
            raise UsageError(f"since must be before until; {self.since.isoformat()} is not.")

    def refuse_future(self, now: datetime) -> None:
        """Raises `UsageError` where nothing of the range can have happened yet."""
        if self.since and self.since >= now:
            raise UsageError(f"since: {self.since.isoformat()} lies in the future.")

    def filters_of(self, stream: Stream) -> Params:
        """The filters as query parameters of `stream`. Raises `UsageError` where it does not document one."""
        if not self.filters:
            return {}
        try:
            given = stream.filters.model_validate(self.filters)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            known = ", ".join(_documented(stream.filters)) or "none"
            raise UsageError(
                f"filter {first['loc'][0]}: {first['msg']}. Documented for {stream.name}: {known}."
            ) from None
        return given.model_dump(mode="json", by_alias=True, exclude_none=True)


def _documented(filters: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in filters.model_fields.items()]


@dataclass(frozen=True, slots=True)
class Brake:
    """A run that would mark more than `rows` and more than `share` of what is stored as deleted marks none."""

    rows: int
    share: float

    def limit(self, held: int) -> int:
        return max(self.rows, int(self.share * held))
