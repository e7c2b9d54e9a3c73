"""Keys in Prefect Secret blocks: a worker's run works with them, and Prefect's database tells none of them."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from tasks.embedded import EmbeddedPostgres, Stack
from tests.e2e.test_cli import SECRETS
from tests.support.builders import Json
from tests.support.installation import HOUSE, Installation

BLOCKS = {
    "sakari-paris-client-id": "SAKARI_CLIENT_ID",
    "sakari-paris-client-secret": "SAKARI_CLIENT_SECRET",
}
TABLES = "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'"


@pytest.fixture
def installed(cluster: EmbeddedPostgres, servers: Stack) -> Iterator[Installation]:
    with Installation(cluster, servers) as installation:
        yield installation


def documented_stanza() -> str:
    """The one that docs/operating.md shows for a second account."""
    _, _, rest = (HOUSE / "docs" / "operating.md").read_text().partition("```yaml\n")
    return rest.partition("```")[0]


def keep_secret(client: httpx.Client, name: str, value: str) -> None:
    """What the UI does when somebody makes a Secret block."""
    type_: Json = client.get("/block_types/slug/secret").json()
    query = {"block_schemas": {"block_type_id": {"any_": [type_["id"]]}}}
    schema: Json = client.post("/block_schemas/filter", json=query).json()[0]
    block = {"name": name, "data": {"value": value}, "block_type_id": type_["id"], "block_schema_id": schema["id"]}
    client.post("/block_documents/", json=block).raise_for_status()


def dump(cluster: EmbeddedPostgres) -> str:
    """All that Prefect's database holds, as text."""
    with psycopg.connect(cluster.url("prefect")) as connection:
        queries = [f"SELECT t::text FROM {table} t".encode() for (table,) in connection.execute(TABLES)]
        return "\n".join(text for query in queries for (text,) in connection.execute(query))


def test_a_second_account_with_keys_in_blocks(cluster: EmbeddedPostgres, installed: Installation) -> None:
    """The documented stanza syncs with keys from blocks; a dump of Prefect's database holds no key in clear."""
    environ = installed.shell.environ
    for name, variable in BLOCKS.items():
        keep_secret(installed.client, name, environ[variable])
    file = Path(installed.folder.name) / "prefect.yaml"
    shared, heading, _ = (HOUSE / "prefect.yaml").read_text().partition("deployments:\n")
    file.write_text(shared + heading + documented_stanza())
    installed.make_pool("callweave-paris")
    installed.deploy(file)

    with installed.worker("callweave-paris", **{variable: f"block:{name}" for name, variable in BLOCKS.items()}):
        run = installed.ended(installed.start("sync-sakari/calls-paris"))
    assert run["state_name"] == "Completed", run["state"]
    assert {provider for provider, _ in installed.held()} == {"sakari"}
    kept = dump(cluster)
    assert "sakari-paris-client-secret" in kept
    assert run["id"] in kept
    assert [name for name in SECRETS if environ[name] in kept] == []
