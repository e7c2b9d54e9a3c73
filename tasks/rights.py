"""The two roles that read `v1` and judge in it: made and given their rights, or named where that is not allowed."""

from sqlalchemy import Connection, text

READER = (
    "GRANT USAGE ON SCHEMA v1 TO callweave_reader",
    "GRANT SELECT ON ALL TABLES IN SCHEMA v1 TO callweave_reader",
    "GRANT EXECUTE ON FUNCTION v1.complete, v1.complete_up_to, v1.changes_since TO callweave_reader",
)
JUDGE = (
    "GRANT USAGE ON SCHEMA v1 TO callweave_judge",
    "GRANT EXECUTE ON FUNCTION v1.judge TO callweave_judge",
)
ROLES = {"callweave_reader": READER, "callweave_judge": JUDGE}
MAY_MAKE = text("SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user")
KNOWN = text("SELECT rolname FROM pg_roles WHERE rolname = ANY (:names)")
USABLE = text("SELECT has_schema_privilege(rolname, 'v1', 'USAGE') FROM pg_roles WHERE rolname = :name")


def grant(connection: Connection) -> None:
    """Makes the roles where the connection's own role may, and gives those that are there all their rights anew."""
    may_make = connection.execute(MAY_MAKE).scalar_one()
    missing = missing_roles(connection)
    for name, statements in ROLES.items():
        if name in missing and may_make:
            connection.execute(text(f"CREATE ROLE {name} NOLOGIN"))
        if name not in missing or may_make:
            for statement in statements:
                connection.execute(text(statement))


def missing_roles(connection: Connection) -> list[str]:
    known = set(connection.execute(KNOWN, {"names": list(ROLES)}).scalars())
    return [name for name in ROLES if name not in known]


def without_rights(connection: Connection) -> list[str]:
    """Roles that are there and may not use `v1`: made after the last migration."""
    return [name for name in ROLES if connection.execute(USABLE, {"name": name}).scalar() is False]


def advice(missing: list[str]) -> str:
    """What an administrator has to do, for whoever may not make roles."""
    made = " ".join(f"CREATE ROLE {name} NOLOGIN;" for name in missing)
    return (
        f"{' and '.join(missing)} cannot be granted to anybody: not there, and DATABASE_URL's role may not make roles. "
        f"Have an administrator run `{made}` and then `callweave migrate` again"
    )
