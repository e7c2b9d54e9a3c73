"""What a run leaves in the Prefect UI: a progress artifact while it works, a table of its counts at the end."""

import time
from typing import cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, create_table_artifact, update_progress_artifact

from models.provider import Provider
from tasks.run import StreamRun

SECONDS_BETWEEN_MOVES = 5.0


class Artifacts:
    def __init__(self, provider: Provider, runs: list[StreamRun]) -> None:
        self._provider, self._runs = provider, runs
        self._progress: UUID | None = None
        self._moved_at = time.monotonic()

    def move(self) -> None:
        """Keeps the receipts alive and the progress moving, no more often than people can look."""
        if time.monotonic() < self._moved_at + SECONDS_BETWEEN_MOVES:
            return
        self._moved_at = time.monotonic()
        for run in self._runs:
            run.heartbeat()
        self._show(self._share())

    def finish(self) -> None:
        self._show(100.0)
        create_table_artifact(
            key=f"{self._provider.name}-sync",
            table=[run.line.receipt for run in self._runs],
            description=f"What the latest run of {self._provider.title} did, per stream",
        )

    def _show(self, percent: float) -> None:
        if self._progress is None:
            key, description = f"{self._provider.name}-progress", self._told()
            self._progress = cast("UUID", create_progress_artifact(percent, key=key, description=description))
        else:
            update_progress_artifact(self._progress, percent, description=self._told())

    def _share(self) -> float:
        known = sum(run.line.windows_known for run in self._runs)
        ended = sum(run.line.windows + run.line.windows_failed for run in self._runs)
        return min(100.0 * ended / known, 99.0) if known else 0.0

    def _told(self) -> str:
        lines = [run.line for run in self._runs]
        return ", ".join(
            f"{line.stream}: {line.counts.fetched:,} records, windows done: {line.windows:,}" for line in lines
        )
