"""Records that could not be read or held: kept with their reason until they can."""

from collections.abc import Iterable

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from models.arrivals import Rejection
from models.json_text import array
from models.vocabulary import StreamName
from tasks.database import is_about_data

REJECT = text("""
    INSERT INTO rejected_row (provider, account, stream, external_id, reason, digest, payload, content)
    VALUES (:provider, :account, :stream, :external_id, :reason, :digest, CAST(:payload AS jsonb), :content)
    ON CONFLICT (provider, account, stream, digest)
    DO UPDATE SET last_seen_at = now(), reason = excluded.reason, resolved_at = NULL
""")
RESOLVE = text("""
    UPDATE rejected_row SET resolved_at = now()
    WHERE provider = :provider AND account = :account AND stream = :stream AND resolved_at IS NULL
      AND external_id = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:ids AS jsonb))))
""")


def set_aside(connection: Connection, stream: StreamName, key: dict[str, str], rejected: Iterable[Rejection]) -> None:
    """Keeps the records that could not be read, with the reason."""
    for one in rejected:
        payload = one.text if _is_storable(connection, one.text) else None
        values = one._asdict() | {"stream": stream, "payload": payload, "content": one.text.encode()}
        connection.execute(REJECT, key | values)


def resolve(connection: Connection, stream: StreamName, key: dict[str, str], ids: list[str]) -> None:
    """These records were read: what was set aside of them is settled."""
    connection.execute(RESOLVE, key | {"stream": stream, "ids": array(ids)})


def _is_storable(connection: Connection, record: str) -> bool:
    try:
        with connection.begin_nested():
            connection.execute(text("SELECT CAST(:record AS jsonb)"), {"record": record})
    except DBAPIError as error:
        if is_about_data(error):
            return False
        raise
    return True
