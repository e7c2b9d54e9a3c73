"""The second version of the views that docs/decisions/0028 tries, on a loaded database."""

import re

import psycopg
import pytest

from tests.support.builders import Office
from tests.support.source import HOUSE
from tests.support.views import page

DECISION = (HOUSE / "docs" / "decisions" / "0028-a-second-version-of-the-views.md").read_text("utf-8")
SIDE_BY_SIDE = """
    SELECT count(*), count(*) FILTER (WHERE one.duration_seconds IS DISTINCT FROM two.reported_seconds)
    FROM v1.call one FULL JOIN v2.call two USING (provider, account, external_id)
"""


def test_v2_beside_v1(own_office: Office) -> None:
    """A reader sees both versions say the same; v1 stays as its page says, and cannot be taken from under v2."""
    own_office.sync("sakari")
    before = page(own_office.database_url, {})
    (statements,) = re.findall(r"^```pgsql\n(.*?)^```", DECISION, re.MULTILINE | re.DOTALL)
    with psycopg.connect(own_office.database_url, autocommit=True) as owner:
        owner.execute(statements)
        with psycopg.connect(own_office.database_url, autocommit=True) as reader:
            reader.execute("SET ROLE callweave_reader")
            assert reader.execute(SIDE_BY_SIDE).fetchall() == [(len(own_office.ids("sakari")), 0)]
            assert reader.execute("SELECT count(*) FROM v2.unified_call").fetchall() == [(0,)]
        with pytest.raises(psycopg.errors.DependentObjectsStillExist, match=r"v2\.call"):
            owner.execute("DROP VIEW v1.call")

    assert page(own_office.database_url, {}) == before
