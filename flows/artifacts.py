"""What a run leaves in the Prefect UI: progress, its counts at the end, the status page of the provider."""

import time
from typing import cast
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from sqlalchemy import Engine

from flows.rendering.status_page import page
from flows.window_tasks import SECONDS_BETWEEN_MOVES
from models.errors import DatabaseUnavailable
from models.provider import Provider
from tasks.diagnostics.stream_health import Health, health
from tasks.extract.stream_run import StreamRun


class Artifacts:
    def __init__(self, provider: Provider, runs: list[StreamRun], engine: Engine) -> None:
        self._provider, self._runs, self._engine = provider, runs, engine
        self._progress: UUID | None = None
        self._moved_at = time.monotonic()

    def move(self) -> None:
        """Keeps the progress moving, no more often than people can look."""
        if time.monotonic() < self._moved_at + SECONDS_BETWEEN_MOVES:
            return
        self._moved_at = time.monotonic()
        self._show(self._share())

    def finish(self) -> Health | None:
        """Shows what came of the run, and how the provider stands now; None where the database went away."""
        self._show(100.0)
        create_table_artifact(
            key=f"{self._provider.name}-sync",
            table=[run.receipt.document for run in self._runs],
            description=f"What the latest run of {self._provider.title} did, per stream",
        )
        try:
            found = health(self._engine, self._provider.name)
        except DatabaseUnavailable as error:
            get_run_logger().error("The status page could not be written: %s", error)
            return None
        self._show_health(found)
        return found

    def _show_health(self, found: Health) -> None:
        create_markdown_artifact(
            key=f"{self._provider.name}-status",
            markdown=page(self._provider.title, found),
            description=f"How {self._provider.title} stands, and its last 30 days",
        )

    def _show(self, percent: float) -> None:
        if self._progress is None:
            key, description = f"{self._provider.name}-progress", self._description()
            self._progress = cast("UUID", create_progress_artifact(percent, key=key, description=description))
        else:
            update_progress_artifact(self._progress, percent, description=self._description())

    def _share(self) -> float:
        known = sum(run.receipt.windows_known for run in self._runs)
        ended = sum(run.receipt.windows + run.receipt.windows_failed for run in self._runs)
        return min(100.0 * ended / known, 99.0) if known else 0.0

    def _description(self) -> str:
        receipts = [run.receipt for run in self._runs]
        return ", ".join(
            f"{one.stream}: {one.counts.fetched:,} records, windows done: {one.windows:,}" for one in receipts
        )
