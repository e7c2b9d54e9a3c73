"""The contract's table of outcomes, word by word."""

from typing import Any

import pytest

from models.vocabulary import Outcome
from tests.support.records import bird_call, sakari_call, skipcall_call
from tests.support.rows import call_of

TABLE: dict[str, dict[str, list[str]]] = {
    "sakari": {
        "in_progress": ["initiated", "ringing", "active", "transferring"],
        "answered": ["ended"],
        "missed": ["missed"],
        "rejected": ["rejected"],
        "forwarded": ["forwarded"],
    },
    "bird": {
        "in_progress": ["accepted", "starting", "ringing", "ongoing"],
        "scheduled": ["scheduled"],
        "answered": ["completed"],
        "missed": ["no-answer"],
        "busy": ["busy"],
        "failed": ["failed"],
        "cancelled": ["cancelled", "canceled"],
    },
    "skipcall": {
        "in_progress": ["queued", "initiated", "ringing", "in-progress", "ongoing"],
        "scheduled": ["scheduled"],
        "answered": ["completed", "answered"],
        "missed": ["no-answer", "missed", "unanswered"],
        "busy": ["busy"],
        "failed": ["failed"],
        "cancelled": ["canceled", "cancelled"],
        "rejected": ["rejected", "declined"],
        "voicemail": ["voicemail"],
    },
}
WORDS = [
    (provider, word, outcome) for provider, table in TABLE.items() for outcome, words in table.items() for word in words
]
NOT_FINAL = {"in_progress", "scheduled", "unknown"}
BUILDERS = {"sakari": sakari_call, "bird": bird_call, "skipcall": skipcall_call}
DIRECTION_FIELDS = {"sakari": "direction", "bird": "direction", "skipcall": "type"}
DIRECTIONS = {"sakari": ("inbound", "outbound"), "bird": ("incoming", "outgoing"), "skipcall": ("inbound", "outbound")}
EVERY_WORD = sorted({word for _, word, _ in WORDS})


def outcome(provider: str, **own: Any) -> str:
    return call_of(provider, BUILDERS[provider](**own)).outcome


def spellings(word: str) -> list[str]:
    return [
        *(word.upper(), word.title(), f"  {word}\n"),
        *(word.replace("-", "_"), word.replace("-", " "), word.upper().replace("-", "_")),
    ]


@pytest.mark.parametrize(("provider", "word", "expected"), WORDS)
def test_word(provider: str, word: str, expected: str) -> None:
    """A listed word stands for its outcome, is final or not with it, and is kept untouched."""
    row = call_of(provider, BUILDERS[provider](status=word))

    assert (row.outcome, row.is_final, row.provider_status) == (expected, expected not in NOT_FINAL, word)


@pytest.mark.parametrize(("provider", "word", "expected"), WORDS)
def test_spelling(provider: str, word: str, expected: str) -> None:
    """Case, underscores and blanks make no other word, and the provider's own spelling is kept."""
    for spelling in spellings(word):
        row = call_of(provider, BUILDERS[provider](status=spelling))

        assert (row.outcome, row.provider_status) == (expected, spelling)


@pytest.mark.parametrize("provider", TABLE)
def test_foreign_words(provider: str) -> None:
    """A word of another provider's table alone is unknown and not final."""
    own = {word for words in TABLE[provider].values() for word in words}
    for word in [*(set(EVERY_WORD) - own), "teleported", "", "-", "ended."]:
        row = call_of(provider, BUILDERS[provider](status=word))

        assert (row.outcome, row.is_final) == ("unknown", False), word


@pytest.mark.parametrize(("provider", "word", "expected"), WORDS)
def test_direction_changes_nothing(provider: str, word: str, expected: str) -> None:
    """The outcome is the same in either direction."""
    for direction in (*DIRECTIONS[provider], "sideways"):
        assert outcome(provider, status=word, **{DIRECTION_FIELDS[provider]: direction}) == expected


@pytest.mark.parametrize("status", ["ended", "missed", "rejected", "forwarded"])
@pytest.mark.parametrize("duration", [0, 42, None])
def test_sakari_voicemail(status: str, duration: int | None) -> None:
    """A finished Sakari call with voicemail is one, whatever its word and duration."""
    row = call_of("sakari", sakari_call(status=status, duration=duration, voicemail=True))

    assert (row.outcome, row.is_final) == ("voicemail", True)


@pytest.mark.parametrize("status", ["initiated", "ringing", "active", "transferring", "teleported"])
def test_sakari_voicemail_needs_an_end(status: str) -> None:
    """Voicemail says nothing of a Sakari call that is not finished."""
    row = call_of("sakari", sakari_call(status=status, voicemail=True))

    assert row.outcome in {"in_progress", "unknown"}
    assert not row.is_final


@pytest.mark.parametrize("voicemail", [None, "true", 1, {}, []])
def test_sakari_voicemail_is_a_boolean(voicemail: Any) -> None:
    """Only true makes a voicemail."""
    assert outcome("sakari", voicemail=voicemail) == "answered"


@pytest.mark.parametrize(
    ("status", "duration", "expected"),
    [
        ("ended", 0, "missed"),
        ("ended", 0.0, "missed"),
        ("ended", 1, "answered"),
        ("ended", None, "answered"),
        ("ended", -5, "answered"),
        ("ended", "0", "answered"),
        ("missed", 12, "missed"),
        ("rejected", 0, "rejected"),
        ("forwarded", 0, "forwarded"),
        ("active", 0, "in_progress"),
    ],
)
def test_sakari_duration(status: str, duration: Any, expected: str) -> None:
    """Duration 0 makes an ended Sakari call missed, and changes no other word."""
    assert outcome("sakari", status=status, duration=duration) == expected


@pytest.mark.parametrize("word", [word for words in TABLE["bird"].values() for word in words])
@pytest.mark.parametrize(
    "own",
    [
        {"duration": 0},
        {"duration": 99},
        {"answeredAt": None},
        {"amdResult": {"result": "machine"}},
        {"hangupSource": "timeout", "hangupCauseCode": 19, "sipInsights": {"hangupSipCode": "480"}},
    ],
    ids=str,
)
def test_bird_details_change_nothing(word: str, own: dict[str, Any]) -> None:
    """Only the status decides a Bird outcome."""
    assert outcome("bird", status=word, **own) == outcome("bird", status=word)


@pytest.mark.parametrize("own", [{"callType": "CALL_SESSION"}, {"transferred": True}, {"endedAt": None}])
def test_skipcall_details_change_nothing(own: dict[str, Any]) -> None:
    """Only the status decides a Skipcall outcome."""
    assert [outcome("skipcall", status=word, **own) for word in EVERY_WORD] == [
        outcome("skipcall", status=word) for word in EVERY_WORD
    ]


def test_deleted_is_final() -> None:
    """A deleted record is final, whatever its word, and keeps its outcome."""
    row = call_of("skipcall", skipcall_call(status="ringing", deletedAt="2026-11-21T00:00:00Z"))

    assert (row.outcome, row.is_final) == ("in_progress", True)


def test_the_table_is_whole() -> None:
    """Every outcome of the vocabulary but unknown is some provider's."""
    reached = {outcome for _, _, outcome in WORDS}

    assert reached | {"unknown"} == set(Outcome)
