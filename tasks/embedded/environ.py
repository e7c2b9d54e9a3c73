"""What environment the servers and the processes that run flows should have."""

import os
from pathlib import Path

# The servers are shared by commands and outlive them: they get no command's secrets, and none of its settings.
_INHERITED = {"HOME", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "TMPDIR", "TZ", "USER"}

QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLIENT_METRICS_ENABLED": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
}


def inherited_environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name in _INHERITED}


def prefect_home(home: Path) -> Path:
    return home.absolute() / "prefect"


def server_environ(home: Path, database_url: str, key: str) -> dict[str, str]:
    """The environment of Prefect's server; `database_url` is SQLAlchemy's, `key` what its API asks for."""
    return (
        inherited_environ()
        | QUIET
        | {
            "PREFECT_HOME": str(prefect_home(home)),
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": database_url,
            "PREFECT_SERVER_API_AUTH_STRING": key,
            # Leases in memory would be lost when the server ends, and the slots they stand for with them.
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
            "PREFECT_SERVER_CONCURRENCY_INITIAL_DEPLOYMENT_LEASE_DURATION": "60",
            # One transaction per event is most of the server's work during a sync.
            "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
            "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "200",
            "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
            # Some 3,000 flow runs a day would never be removed.
            "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
            "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(30 * 86_400),
            "PREFECT_SERVER_UI_ENABLED": "true",
            "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
            # By default the UI's files are copied into the installed package, which may be read-only.
            "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(prefect_home(home) / "ui"),
            # Says which block types the database holds already, so it lives and dies with the cluster.
            "PREFECT_SERVER_MEMO_STORE_PATH": str(home / "postgres" / "prefect_memo.toml"),
        }
    )


def own_server_environ(home: Path, key: str) -> dict[str, str]:
    """What lets a client use our server, also where the caller is set up for another one."""
    bypass = [os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), "127.0.0.1"]
    return {
        "PREFECT_HOME": str(prefect_home(home)),
        "PREFECT_API_AUTH_STRING": key,
        # The profile that Prefect always has, in place of one that our PREFECT_HOME does not know.
        "PREFECT_PROFILE": "ephemeral",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "NO_PROXY": ",".join(filter(None, bypass)),
    }
