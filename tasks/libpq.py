"""A libpq URL for other programs of Postgres: in the environment, so that no list of processes shows a password."""

from psycopg.pq import Conninfo

DEFAULTS = {"PGAPPNAME": "callweave psql", "PGTZ": "UTC"}
"""For what neither the URL nor the environment says."""


def environment_of(database_url: str) -> tuple[dict[str, str], list[str]]:
    """The variables that say the same as `database_url`, and arguments for what no variable can say."""
    given = [one for one in Conninfo.parse(database_url.encode()) if one.val is not None]
    variables = {one.envvar.decode(): _text(one.val) for one in given if one.envvar}
    others = [f"{one.keyword.decode()}={_quoted(_text(one.val))}" for one in given if not one.envvar]
    return variables, ["--dbname", " ".join(others)] if others else []


def _text(value: bytes | None) -> str:
    return (value or b"").decode()


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
