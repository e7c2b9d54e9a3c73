"""What the lists of a run left out, gathered while it reads and settled at its end."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from models.request import Brake
from tasks.extract.context import StreamContext
from tasks.extract.deletions import DeletesHeldBack, Missing, confirm_deletions
from tasks.extract.run_plan import RunPlan
from tasks.extract.silent_lists import disbelieve_silence, read_nothing


@dataclass(slots=True)
class LeftOut:
    """Records that did not come although they are held, and lists that held nothing."""

    plan: RunPlan
    brake: Brake
    held_back: DeletesHeldBack | None = None
    _missing: dict[StreamContext, list[Missing]] = field(default_factory=dict)

    def add(self, context: StreamContext, missing: Missing) -> None:
        self._missing.setdefault(context, []).append(missing)

    @property
    def is_nothing(self) -> bool:
        return not (self._missing or self._silent)

    @property
    def _silent(self) -> list[StreamContext]:
        contexts = self.plan.contexts if self.plan.reads_calls else []
        return [context for context in contexts if context not in self._missing and read_nothing(context)]

    def settle(self) -> Iterator[str]:
        """Marks as deleted what the provider denies. Yields why lists are not believed, or deletes are held back."""
        for context in self._silent:
            if reason := disbelieve_silence(context):
                yield not_proven(reason)
        for context, found in self._missing.items():
            outcome = confirm_deletions(context, found, self.brake, allow=self.plan.request.allow_deletes)
            if isinstance(outcome, DeletesHeldBack):
                self.held_back = outcome
                yield str(outcome)
            elif outcome:
                yield not_proven(outcome)


def not_proven(reason: str) -> str:
    return f"not proven complete: {reason}"
