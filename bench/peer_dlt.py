"""The peer: dlt loads the same three lists of the same sandbox into the same Postgres.

Run by `bench/first_sync.py` in an environment of its own, as a script; imports nothing of ours. Reads what points it
at the sandbox from the environment, prints one JSON line: seconds of its steps, and rows. Merge by upsert on the id,
nested objects kept as JSON: the fastest of dlt's own settings for this job.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any
from urllib.request import Request, urlopen

os.environ |= {"RUNTIME__LOG_LEVEL": "ERROR", "RUNTIME__DLTHUB_TELEMETRY": "false"}

import dlt  # type: ignore[import-not-found]  # installed in the peers' own environment
import psycopg2  # type: ignore[import-untyped,unused-ignore]  # likewise
from dlt.sources.rest_api import rest_api_source  # type: ignore[import-not-found]

SCHEMA = "dlt_peer"
TABLES = ("sakari_calls", "sakari_contacts", "bird_calls")
STEPS = ("extract", "normalize", "load")


def main(database_url: str) -> None:
    source = rest_api_source(_lists(os.environ["SAKARI_BASE_URL"]))
    marks = [time.perf_counter()]
    for step in _steps(_pipeline(database_url), source):
        step()
        marks.append(time.perf_counter())
    seconds = dict(zip(STEPS, (b - a for a, b in pairwise(marks)), strict=True))
    sys.stdout.write(json.dumps(seconds | {"rows": _rows(database_url)}) + "\n")


def _pipeline(database_url: str) -> Any:
    return dlt.pipeline(
        "peer",
        destination=dlt.destinations.postgres(database_url),
        dataset_name=SCHEMA,
        pipelines_dir=tempfile.mkdtemp(),
        progress=None,
    )


def _steps(pipeline: Any, source: Any) -> list[Callable[[], Any]]:
    return [lambda: pipeline.extract(source), pipeline.normalize, pipeline.load]


def _lists(base_url: str) -> dict[str, Any]:
    account, workspace = os.environ["SAKARI_ACCOUNT_ID"], os.environ["BIRD_WORKSPACE_ID"]
    sakari = {"type": "bearer", "token": _sakari_token(base_url)}
    key = f"AccessKey {os.environ['BIRD_ACCESS_KEY']}"
    bird = {"type": "api_key", "name": "Authorization", "api_key": key, "location": "header"}
    offset = {"type": "offset", "limit": 100, "total_path": None, "has_more_path": "pagination.hasNext"}
    cursor = {"type": "cursor", "cursor_path": "nextPageToken", "cursor_param": "pageToken"}
    return {
        "client": {"base_url": base_url.rstrip("/") + "/"},
        "resource_defaults": {
            "write_disposition": {"disposition": "merge", "strategy": "upsert"},
            "primary_key": "id",
            "max_table_nesting": 0,
        },
        "resources": [
            _list("sakari_calls", f"v1/accounts/{account}/calls", sakari, offset, ("data", 100)),
            _list("sakari_contacts", f"v1/accounts/{account}/contacts", sakari, offset, ("data", 100)),
            _list("bird_calls", f"workspaces/{workspace}/channels/calls", bird, cursor, ("results", 1000)),
        ],
    }


def _list(name: str, path: str, auth: Any, paginator: Any, page: tuple[str, int]) -> dict[str, Any]:
    selector, limit = page
    shared = {"params": {"limit": limit}, "data_selector": selector, "paginator": paginator}
    return {"name": name, "endpoint": {"path": path, "auth": auth, **shared}}


def _sakari_token(base_url: str) -> str:
    names = {"client_id": "SAKARI_CLIENT_ID", "client_secret": "SAKARI_CLIENT_SECRET"}
    body = {"grant_type": "client_credentials"} | {name: os.environ[variable] for name, variable in names.items()}
    headers = {"Content-Type": "application/json"}
    with urlopen(Request(f"{base_url}/oauth2/token", json.dumps(body).encode(), headers)) as answer:
        return str(json.load(answer)["access_token"])


def _rows(database_url: str) -> int:
    with psycopg2.connect(database_url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT " + " + ".join(f"(SELECT count(*) FROM {SCHEMA}.{table})" for table in TABLES))
        return int(cursor.fetchone()[0])


if __name__ == "__main__":
    main(sys.argv[1])
