"""What of a sandbox is switched on, by name."""

from collections.abc import Collection, Iterable


class Switches(set[str]):
    """Names that are on, of those that are `known`; may be changed at any time. `what` is their kind, for errors."""

    def __init__(self, what: str, known: Collection[str], names: Iterable[str]) -> None:
        super().__init__()
        self._what, self._known = what, known
        self.update(names)

    def add(self, name: str) -> None:
        """Raises `ValueError` where no such name is known."""
        if name not in self._known:
            raise ValueError(f"no {self._what} is called {name!r}; there are {', '.join(self._known)}")
        super().add(name)

    def update(self, *groups: Iterable[str]) -> None:
        for group in groups:
            for name in group:
                self.add(name)
