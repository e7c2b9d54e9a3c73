"""Skipcall: numbered pages, newest first; a key sees the workspaces it may see; its own OpenAPI document."""

import time
from pathlib import Path
from zlib import crc32

import msgspec

from sandbox.providers.provider import Provider
from sandbox.providers.table import Record, View
from sandbox.providers.web import Answer, BadValueError, Question, RefusedError, answer, listed

API_KEY = "sk_test_sandbox"
WORKSPACES = ("3c9d0000-0000-4000-a000-000000000001", "3c9d0000-0000-4000-a000-000000000002")
_REASONS = {400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}
_OPENAPI = (Path(__file__).parents[1] / "skipcall_openapi.json").read_bytes()
_PER_MINUTE = 1000


def workspace(record: Record) -> str:
    """Records do not say which workspace they belong to."""
    return WORKSPACES[crc32(record["id"].encode()) % len(WORKSPACES)]


class Skipcall(Provider):
    name = "skipcall"
    _minute = 0
    _used = 0

    def answer(self, question: Question) -> Answer:
        found = super().answer(question)
        return found._replace(headers=found.headers | self.meter())

    def meter(self) -> dict[str, str]:
        """The limit is reported, not enforced: what remains never falls below one."""
        minute = int(time.time()) // 60
        self._used = self._used + 1 if minute == self._minute else 1
        self._minute = minute
        return {
            "x-ratelimit-limit": str(_PER_MINUTE),
            "x-ratelimit-remaining": str(max(1, _PER_MINUTE - self._used)),
            "x-ratelimit-reset": str((minute + 1) * 60),
        }

    def refusal(self, refused: RefusedError) -> Answer:
        reason = _REASONS[refused.status]
        return answer({"statusCode": refused.status, "message": refused.message, "error": reason}, refused.status)

    def route(self, question: Question) -> Answer:
        match question.method, question.path:
            case "GET", ("docs-json",):
                return Answer(200, _OPENAPI)
            case "GET", ("v1", "calls" | "contacts" as stream, *rest):
                self._admit(question)
                return self._page(question, stream) if not rest else self._one(stream, rest)
        raise RefusedError(404, f"Cannot {question.method} /{'/'.join(question.path)}")

    def _admit(self, question: Question) -> None:
        if question.authorization != f"Bearer {API_KEY}":
            raise RefusedError(401, "Invalid API key")

    def _one(self, stream: str, rest: list[str]) -> Answer:
        if len(rest) > 1:
            raise RefusedError(404, "no such resource")
        return Answer(200, self.found(stream, rest[0]))

    def _page(self, question: Question, stream: str) -> Answer:
        page, limit = question.integer("page", 1, 1, 2**31), question.integer("limit", 25, 1, 100)
        view, order = self._visible(question, stream), self.order(stream, "newest-first")
        rows = self.listed(stream).ordered(view, view, (0, len(view)), order)
        bodies = list(rows[(page - 1) * limit : page * limit])
        meta = msgspec.json.encode({"page": page, "limit": limit, "total": len(view)})
        return listed(b'{"data":[', self.faults.dress(stream, bodies), b'],"meta":%s}' % meta)

    def _visible(self, question: Question, stream: str) -> View:
        table = self.listed(stream)
        wanted = tuple(one for text in question.texts("workspaceIds") for one in text.split(",") if one)
        if not wanted:
            return table
        if any(len(one) != 36 for one in wanted):
            raise BadValueError("each of workspaceIds must be a UUID")
        return table.filtered(wanted, lambda record: workspace(record) in wanted)
