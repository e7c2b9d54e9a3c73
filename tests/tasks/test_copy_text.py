"""Rows in the text format of COPY, read back from a real Postgres."""

from datetime import UTC, datetime
from typing import Any

import psycopg
from hypothesis import example, given
from hypothesis import strategies as st

from models.copy_text import line

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 - the zone is the strategy's
ROWS = st.tuples(
    st.none() | texts,
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.booleans(),
    st.none() | moments,
    st.none() | st.binary(),
    st.lists(texts),
    st.dictionaries(texts, texts | st.integers(-(2**53), 2**53) | st.none()),
)
TABLE = "CREATE TEMPORARY TABLE copied (a text, b bigint, c bool, d timestamptz, e bytea, f text[], g jsonb)"


@given(st.lists(ROWS, max_size=5))
@example([("\\N", None, None, None, None, ["NULL", "", "\\", '"', "a,b", "{}", "\n"], {"\t": "\r\n\\."})])
def test_round_trip(database_url: str, rows: list[tuple[Any, ...]]) -> None:
    """What is copied is what was given, whatever characters stand in it."""
    with psycopg.connect(database_url, options="-c timezone=UTC") as connection:
        connection.execute(TABLE)
        with connection.cursor() as cursor, cursor.copy("COPY copied FROM STDIN") as copy:
            copy.write(b"".join(map(line, rows)))

        assert connection.execute("SELECT * FROM copied").fetchall() == rows
        connection.rollback()
