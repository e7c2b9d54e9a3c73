"""What the lists of a run left out, gathered while it reads and settled at its end."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from models.request import Brake
from tasks.database import in_transaction
from tasks.extract.context import StreamContext
from tasks.extract.deletions import DeletesHeldBack, Missing, confirm_deletions
from tasks.extract.named_records import settle_unlisted, unlisted
from tasks.extract.run_plan import RunPlan
from tasks.extract.silent_lists import read_nothing, settle_silence


@dataclass(slots=True)
class LeftOut:
    """Records that did not come although they are held or named, and lists that held nothing."""

    plan: RunPlan
    brake: Brake
    held_back: DeletesHeldBack | None = None
    _missing: dict[StreamContext, list[Missing]] = field(default_factory=dict)

    def add(self, context: StreamContext, missing: Missing) -> None:
        self._missing.setdefault(context, []).append(missing)

    @property
    def is_nothing(self) -> bool:
        return not (self._missing or self._empty or any(map(unlisted, self._whole)))

    @property
    def _empty(self) -> list[StreamContext]:
        return [context for context in self.plan.contexts if read_nothing(context)]

    @property
    def _whole(self) -> list[StreamContext]:
        """Lists that were read for all that they hold, not for some records or through a filter."""
        return [] if self.plan.is_partial_view else self.plan.contexts

    def settle(self) -> Iterator[str]:
        """Marks as deleted what the provider denies. Yields why lists are not believed, or deletes are held back."""
        for context, found in self._missing.items():
            outcome = confirm_deletions(context, found, self.brake, allow=self.plan.request.allow_deletes)
            if isinstance(outcome, DeletesHeldBack):
                self.held_back = outcome
                yield str(outcome)
            elif outcome:
                yield not_proven(outcome)
        for context in self._empty:
            if reason := settle_silence(context):
                yield not_proven(reason)
        for context in self._whole:
            if reason := settle_unlisted(context):
                yield not_proven(reason)

    def drop(self) -> None:
        """Gives up what is still undecided at the end of a run that failed or was stopped."""
        for context in self.plan.contexts:
            in_transaction(context.engine, context.ledger.verdicts.drop_empty)


def not_proven(reason: str) -> str:
    return f"not proven complete: {reason}"
