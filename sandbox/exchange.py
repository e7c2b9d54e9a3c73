"""The three providers at one place: who answers a question, and which faults and deviations act on the answer."""

from collections.abc import Callable
from functools import partial

from sandbox.deviations.deviations import Deviations
from sandbox.deviations.place import Place
from sandbox.faults.faults import Faults
from sandbox.faults.motion import MOTIONS, Motion
from sandbox.faults.pages import Pages
from sandbox.providers import bird, sakari, skipcall
from sandbox.providers.web import Answer, Question
from sandbox.world.world import STREAMS, World


class Exchange:
    """Answers questions to all providers of a world."""

    def __init__(self, world: World, faults: Faults, deviations: Deviations) -> None:
        self.world, self.faults, self.deviations = world, faults, deviations
        self.between_pages: Callable[[], None] | None = None
        self._motion, self._pages = Motion(world), Pages()
        makers = (sakari.Sakari, bird.Bird, skipcall.Skipcall)
        self._providers = {maker.name: maker(world, faults, deviations) for maker in makers}

    def answer(self, question: Question, provider: str) -> Answer:
        return self.faults.interrupt(provider) or self._serve(question, provider)

    def _serve(self, question: Question, provider: str) -> Answer:
        stream = question.path[-1]
        if stream in STREAMS:
            self._pass_time(provider, stream)
            return self.deviations.list_page(self._place(provider, stream), question, partial(self._page, provider))
        ask = self._providers[provider].answer
        if len(question.path) > 1 and question.path[-2] in STREAMS:
            return self.deviations.record(self._place(provider, question.path[-2]), question, ask)
        return ask(question)

    def _place(self, provider: str, stream: str) -> Place:
        table, refuse = self.world.tables[provider][stream], self._providers[provider].refusal
        return Place(provider, stream, table, refuse, self.deviations.numbers)

    def _pass_time(self, provider: str, stream: str) -> None:
        """What happens to a list before a page of it is answered."""
        for name in sorted(self.faults & set(MOTIONS)):
            self._motion.step(name, provider, stream)
        if self.between_pages:
            self.between_pages()

    def _page(self, provider: str, question: Question) -> Answer:
        """A page as the provider is assumed to answer it, with the faults that are on."""
        asked = self._pages.before(self.faults, question)
        if isinstance(asked, Answer):
            return asked
        return self._pages.after(self.faults, question, self._providers[provider].answer(asked))
