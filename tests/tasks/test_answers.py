"""Answers and records as they really come, each line a test through a sync. See tests/corpus/README.md."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from models.json_text import clean
from sandbox.server import Sandbox
from tests.support.builders import Office, iso
from tests.support.relay import Asked, Relay, Reply

CORPUS = Path(__file__).parents[1] / "corpus"
Line = dict[str, Any]
LONG = re.compile(r"@(.)\*(\d+)@")
START = iso(datetime.now(UTC) - timedelta(minutes=30))
ENVELOPE = '{"data":[@records@],"meta":{"page":1,"limit":100,"total":@total@}}'


def lines(name: str) -> list[Line]:
    return [json.loads(line) for line in (CORPUS / f"{name}.jsonl").read_text("ascii").splitlines()]


def written(text: str) -> str:
    """With its long stretches, and a start half an hour ago."""
    return LONG.sub(lambda match: match[1] * int(match[2]), text).replace('"@"', f'"{START}"')


ANSWERS, RECORDS = lines("answers"), lines("records")


@pytest.fixture
def relay(sandbox: Sandbox) -> Iterator[Relay]:
    with Relay(sandbox.url) as relay:
        yield relay


@pytest.fixture
def office(database_url: str, sandbox: Sandbox, relay: Relay) -> Iterator[Office]:
    with Office(database_url, sandbox.environ | {"SKIPCALL_BASE_URL": relay.url}) as office:
        yield office


def first_page(asked: Asked, answer: Reply) -> Reply | None:
    """`answer` to the first page of calls; further ones are empty, by id nothing is known."""
    if asked.path != "/v1/calls":
        return Reply(404)
    return answer if asked.query.get("page", ["1"]) == ["1"] else Reply(200, b'{"data":[],"meta":{"page":2,"total":1}}')


@pytest.mark.parametrize("line", ANSWERS, ids=[line["seen"] for line in ANSWERS])
def test_answer(relay: Relay, office: Office, line: Line) -> None:
    """An odd answer is read as it is meant, or fails its window with words that say what came."""
    body = written(line["body"]).encode(line["encoding"])
    answer = Reply(line["status"], body, {"content-type": "application/json"} | line["headers"])
    relay.intervene = lambda asked: first_page(asked, answer)
    run, right = office.sync("skipcall", since=datetime.now(UTC) - timedelta(hours=1)), line["right"]
    error = run.receipt.error or ""

    assert office.ids("skipcall") == set(right.get("stored", []))
    assert (run.receipt.state == "failed", right.get("says", "") in error) == ("says" in right, True), error
    assert not any(word in error for word in ("Error", "Expected `", "pydantic", "\x1b", "06/12"))


def test_records(relay: Relay, office: Office) -> None:
    """Of a page of odd records each is stored as it is right or set aside with a reason, and costs no other."""
    records = ",".join(written(line["record"]) for line in RECORDS)
    page = ENVELOPE.replace("@records@", records).replace("@total@", str(len(RECORDS)))
    relay.intervene = lambda asked: first_page(asked, Reply(200, page.encode("utf-8", "surrogatepass")))
    run = office.sync("skipcall", since=datetime.now(UTC) - timedelta(hours=1))
    kept = {row["external_id"]: row for row in office.rows("SELECT * FROM v1.call")}
    aside = {bytes(row["content"]): row["reason"] for row in office.rows("SELECT content, reason FROM rejected_row")}

    assert (run.receipt.state, run.receipt.error) == ("completed", None)
    for line in RECORDS:
        right = dict(line["right"])
        id_, reason = right.pop("stored"), right.pop("reason", "")
        if id_ is None:
            text = clean(written(line["record"]).encode())
            assert reason in aside[text.encode()], line["seen"]
        else:
            row = kept.pop(written(id_))
            assert {name: row[name] for name in right} == right, line["seen"]
    assert kept == {}
    assert len(aside) == sum(line["right"]["stored"] is None for line in RECORDS)


def test_odd_ids_are_scanned_again(relay: Relay, office: Office) -> None:
    """Full scans of a list with ids that no index holds go on, and delete nothing."""
    records = ",".join(written(line["record"]) for line in RECORDS)
    page = ENVELOPE.replace("@records@", records).replace("@total@", str(len(RECORDS)))
    relay.intervene = lambda asked: first_page(asked, Reply(200, page.encode("utf-8", "surrogatepass")))
    runs = [office.sync("skipcall", full=True) for _ in range(2)]

    assert [run.receipt.state for run in runs] == ["completed", "completed"]
    assert [run.receipt.counts.deleted for run in runs] == [0, 0]
    assert office.ids("skipcall") == {written(line["right"]["stored"]) for line in RECORDS if line["right"]["stored"]}
