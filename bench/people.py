"""People: a million contacts in a million persons, one in twenty of them on a switchboard too, linked from nothing.

Then single contacts change, each linked by itself, as if the one before had been a while ago. The tables are filled in
SQL, so that nothing but linking is measured, in this process.
"""

import time
from collections.abc import Callable
from statistics import median

from sqlalchemy import Engine, text

from bench import report
from bench.ground import Ground
from tasks.database import engine_for
from tasks.identity.linker import link_people

CONTACTS = 1_000_000
MOST_SECONDS = 60.0
MOST_MILLISECONDS = 50.0
REPEATS = 20
HEADINGS = ("", "contacts", "time", "target", "persons")
FILL = (
    """
    INSERT INTO contact (provider, account, external_id, digest, source_updated_at, observed_at, payload, first_name,
                         last_name, email, e164s, crm_ids)
    SELECT 'p' || n % 3, 'a', n, '', now(), now(), '{}', 'First' || n % 5000, 'Last' || n, 'mail' || n || '@x.example',
           CASE WHEN n % 20 = 0 THEN ARRAY['+331' || 10000000 + n % (:contacts / 1000), '+336' || 10000000 + n]
                ELSE ARRAY['+336' || 10000000 + n] END, '{}'
    FROM generate_series(1, :contacts) n
    """,
    "INSERT INTO phone (e164) SELECT DISTINCT unnest(e164s) FROM contact ORDER BY 1",
)
CHANGES = {
    "a name": "UPDATE contact SET last_name = 'New', changed_at = now() WHERE id = :n * 20 + 1",
    "a number": "UPDATE contact SET e164s = ARRAY['+336' || 10000000 + :n], changed_at = now() WHERE id = :n * 20 + 3",
    "two joined": "UPDATE contact SET e164s = e164s || ARRAY['+336' || 10000000 + :n], changed_at = now() "
    "WHERE id = :n * 20 + 5",
    "a switchboard": "UPDATE contact SET last_name = 'New', changed_at = now() WHERE id = :n * 20",
}
A_WHILE_AGO = "UPDATE person_progress SET changed_at = clock_timestamp() WHERE entity = 'contact'"
PERSONS = "SELECT count(*) FROM v1.person"


def run(ground: Ground) -> list[str]:
    with ground.migrated() as database:
        engine = engine_for(ground.server.url(database))
        try:
            return _measure(engine)
        finally:
            engine.dispose()


def _measure(engine: Engine) -> list[str]:
    for statement in FILL:
        _execute(engine, statement, contacts=CONTACTS)
    whole = _seconds(lambda: link_people(engine))
    singles = {what: _changes(engine, statement) for what, statement in CHANGES.items()}
    rows = [["from nothing", f"{CONTACTS:,}", f"{whole:.1f} s", f"{MOST_SECONDS:g} s", f"{_persons(engine):,}"]]
    rows += [
        [what, "1", f"{report.spread(took, 1)} ms", f"{MOST_MILLISECONDS:g} ms", ""] for what, took in singles.items()
    ]
    report.show(f"People; single changes {REPEATS} times: median (least to most)", HEADINGS, rows)
    slow = [what for what, took in singles.items() if median(took) >= MOST_MILLISECONDS]
    missed = [
        f"people: {what} took {median(singles[what]):.0f} ms, less than {MOST_MILLISECONDS:g} wanted" for what in slow
    ]
    if whole >= MOST_SECONDS:
        missed.append(f"people: {whole:.0f} s from nothing, less than {MOST_SECONDS:g} wanted")
    return missed


def _changes(engine: Engine, statement: str) -> list[float]:
    """Milliseconds of each."""
    took = []
    for n in range(1, REPEATS + 1):
        _execute(engine, A_WHILE_AGO)
        _execute(engine, statement, n=n)
        took.append(_seconds(lambda: link_people(engine)) * 1000)
    return took


def _persons(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(PERSONS)).scalar_one())


def _seconds(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _execute(engine: Engine, statement: str, **values: int) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement), values)
