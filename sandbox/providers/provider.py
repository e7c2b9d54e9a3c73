"""What the three providers have in common: doors, lists, and the faults and deviations that touch their records."""

from abc import ABC, abstractmethod

from sandbox.deviations.deviations import Deviations
from sandbox.faults.faults import Faults
from sandbox.providers.table import Table
from sandbox.providers.web import Answer, BadValueError, Question, RefusedError
from sandbox.world.world import World


class Provider(ABC):
    name: str
    bad_value = 400
    """The status for a query value it cannot take."""

    def __init__(self, world: World, faults: Faults, deviations: Deviations) -> None:
        self.world = world
        self.faults = faults
        self.deviations = deviations

    @property
    def calls(self) -> Table:
        return self.listed("calls")

    @property
    def contacts(self) -> Table:
        return self.listed("contacts")

    def listed(self, stream: str) -> Table:
        """What the lists of a stream are cut from."""
        return self.deviations.table(self.name, stream, self.world.tables[self.name][stream])

    def order(self, stream: str, usual: str) -> str:
        """How a list runs."""
        return self.faults.order(self.deviations.order(self.name, stream, usual))

    def answer(self, question: Question) -> Answer:
        try:
            return self.route(question)
        except BadValueError as bad:
            return self.refusal(RefusedError(self.bad_value, str(bad)))
        except RefusedError as refused:
            return self.refusal(refused)

    @abstractmethod
    def route(self, question: Question) -> Answer: ...

    @abstractmethod
    def refusal(self, refused: RefusedError) -> Answer: ...

    def held(self, stream: str, record_id: str) -> bytes:
        body = self.world.tables[self.name][stream].get(record_id)
        if body is None:
            raise RefusedError(404, f"no {stream.removesuffix('s')} {record_id}")
        return body

    def found(self, stream: str, record_id: str) -> bytes:
        """One record as it is served."""
        return self.faults.dress(stream, [self.held(stream, record_id)])[0]
