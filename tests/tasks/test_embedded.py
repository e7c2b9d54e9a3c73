import contextlib
import http.client
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from sqlalchemy import create_engine, make_url, text

from tasks.diagnostics.prefect_checks import of_door
from tasks.embedded import Stack, StackError, client_environ, postgres, stack
from tasks.embedded.daemon import Daemon
from tasks.embedded.environ import server_environ
from tasks.embedded.key import server_key
from tasks.embedded.prefect_server import PrefectServer
from tests.support.patience import PATIENCE, eventually

HOUSE = Path(__file__).parents[2]
OPEN_SERVER = """
import os, socket, uvicorn
from prefect.server.api.server import create_app
listener = socket.create_server(("127.0.0.1", 0))
os.write(3, f"port={listener.getsockname()[1]}\\n".encode())
uvicorn.Server(uvicorn.Config(create_app(final=True), log_level="warning")).run(sockets=[listener])
"""
"""Prefect's server as it comes, kept as a daemon of ours."""
COMMAND = """
import json, sys
from pathlib import Path
from tasks.embedded import postgres, stack
home, idle = Path(sys.argv[1]), float(sys.argv[3])
opened = stack(home, idle_seconds=idle) if sys.argv[2] == "stack" else postgres(home, idle_seconds=idle)
with opened as running:
    print(json.dumps(vars(running), default=str), flush=True)
    sys.stdin.read()
"""


class Command:
    """Another process that uses the stack until it is told to leave, or is killed."""

    def __init__(self, home: Path, what: str = "stack", idle_seconds: float = 60) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, str(home), what, str(idle_seconds)],
            cwd=HOUSE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def running(self) -> Any:
        assert self.process.stdout
        return json.loads(self.process.stdout.readline())

    def leave(self) -> None:
        self.process.communicate(timeout=PATIENCE)

    def kill_once_running(self) -> None:
        self.running()
        self.kill()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def new_folder() -> Iterator[Callable[[], Path]]:
    # Not tmp_path: each session of pytest closes its parent to Postgres's user again.
    with contextlib.ExitStack() as folders:
        yield lambda: Path(folders.enter_context(tempfile.TemporaryDirectory(prefix="cw-", ignore_cleanup_errors=True)))


@pytest.fixture
def home(new_folder: Callable[[], Path]) -> Path:
    return new_folder() / "home"


@pytest.fixture(scope="module")
def migrated(new_folder: Callable[[], Path]) -> Path:
    """A home whose database Prefect has migrated already, once the first test with a server is over."""
    return new_folder() / "home"


def daemons(home: Path) -> list[Daemon]:
    return [Daemon(home.resolve(), "postgres"), Daemon(home.resolve(), "prefect")]


def pids(home: Path) -> list[int]:
    return [int(daemon.facts()["pid"]) for daemon in daemons(home) if daemon.running()]


def alive(pid: int) -> bool:
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(done.stdout.strip()) and not done.stdout.startswith("Z")


def one(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
    return row and row[0]


def ready(api_url: str) -> bool:
    connection = http.client.HTTPConnection(urlsplit(api_url).netloc, timeout=PATIENCE)
    with contextlib.closing(connection):
        connection.request("GET", "/api/ready")
        return connection.getresponse().status == 200


def test_commands_share_one_stack_until_the_last_has_left(migrated: Path) -> None:
    """Two commands at once get the same servers, one killed takes nothing along, the last one out stops both."""
    first, second = Command(migrated), Command(migrated)
    running = first.running()
    assert second.running() == running
    servers = pids(migrated)
    assert len(servers) == 2
    assert os.getsid(0) not in {os.getsid(pid) for pid in servers}
    first.kill()
    assert one(running["database_url"], "SELECT 1") == 1
    assert ready(running["prefect_api_url"])
    second.leave()
    assert not any(map(alive, servers))
    with pytest.raises(ConnectionRefusedError):
        ready(running["prefect_api_url"])


def test_a_server_outlives_its_killed_starter_and_a_killed_postgres(migrated: Path) -> None:
    """A server still starting when its starter is killed is taken over, and finds a Postgres that came back."""
    starter = Command(migrated)
    assert eventually(lambda: daemons(migrated)[1].facts().get("port"))
    starter.kill()
    with stack(migrated, database_url="postgresql://elsewhere/calls") as running:
        assert running.database_url == "postgresql://elsewhere/calls"
        database, server = pids(migrated)
        os.kill(database, signal.SIGKILL)
        with stack(migrated) as again:
            assert again.prefect_api_url == running.prefect_api_url
            assert pids(migrated)[1] == server
            assert pids(migrated)[0] != database
            assert ready(again.prefect_api_url)
    assert not alive(server)


def test_servers_end_themselves(migrated: Path) -> None:
    """Servers whose last user was killed end a while later, and not while anybody uses them."""
    first, second = Command(migrated, idle_seconds=3), Command(migrated, idle_seconds=3)
    running = first.running()
    second.running()
    servers = pids(migrated)
    first.kill()
    time.sleep(5)
    assert all(map(alive, servers))
    assert ready(running["prefect_api_url"])

    second.kill()
    assert eventually(lambda: not any(map(alive, servers)))
    assert eventually(lambda: not Daemon(migrated.resolve(), "caretaker").running())


def test_a_user_who_comes_while_they_end(home: Path) -> None:
    """Whoever comes just then has a running database, and a caretaker who sees him go."""
    for pause in (0.0, 0.9, 1.0, 1.1):
        Command(home, "postgres", idle_seconds=1).kill_once_running()
        time.sleep(1 + pause / 10)
        with postgres(home, idle_seconds=1) as database:
            assert one(database.url(), "SELECT 1") == 1
            time.sleep(1.5)
            assert one(database.url(), "SELECT 1") == 1
            assert Daemon(home.resolve(), "caretaker").running()
        assert not Daemon(home.resolve(), "caretaker").running()


@pytest.fixture
def open_server(migrated: Path) -> Iterator[str]:
    """The API of a server that an earlier version started and left running: without a password, for every page."""
    with postgres(migrated) as database:
        server = PrefectServer(migrated.resolve())
        url = database.url("prefect")
        environ = server_environ(migrated, url.replace("postgresql:", "postgresql+asyncpg:"), "")
        del environ["PREFECT_SERVER_API_AUTH_STRING"]
        server.daemon.launch([sys.executable, "-c", OPEN_SERVER], {}, cwd=migrated, env=environ)
        assert eventually(
            lambda: (port := server.daemon.facts().get("port")) and answers(f"http://127.0.0.1:{port}/api")
        )
        yield f"http://127.0.0.1:{server.daemon.facts()['port']}/api"


def answers(api_url: str) -> bool:
    try:
        return ready(api_url)
    except OSError:
        return False


def test_an_open_server_is_told_and_replaced(migrated: Path, open_server: str) -> None:
    """`check` says that a server answers everybody; one of ours from before there were keys is replaced in place."""
    problem = of_door(open_server).problem
    assert problem is not None
    assert "everybody who reaches it, and every web page" in problem
    (migrated / "prefect.key").unlink()
    with stack(migrated) as running:
        assert running.prefect_api_url == open_server
        assert of_door(open_server).problem is None
        assert (migrated / "prefect.key").read_text() == f"{running.prefect_key}\n"
        assert stat.S_IMODE((migrated / "prefect.key").stat().st_mode) == 0o600


def test_the_key_stays_and_an_open_one_is_replaced(tmp_path: Path) -> None:
    """A home keeps its key; one that other users could read, or that was cut short, is made new."""
    file = tmp_path / "prefect.key"
    first = server_key(tmp_path)
    assert server_key(tmp_path) == first
    file.chmod(0o640)
    second = server_key(tmp_path)
    assert second != first
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_text("")
    assert server_key(tmp_path) not in {first, second, ""}


def test_a_key_that_leads_elsewhere_is_not_followed(tmp_path: Path) -> None:
    """A link in the place of the key is an error: what it leads to is neither taken for a key nor written."""
    other = tmp_path / "other"
    other.write_text("callweave:of somebody else")
    (tmp_path / "prefect.key").symlink_to(other)
    with pytest.raises(OSError, match=r"prefect\.key"):
        server_key(tmp_path)


def test_nothing_is_started_when_both_halves_are_given(home: Path) -> None:
    """With both URLs given they are used, and not even the home is made."""
    with stack(home, "postgresql://elsewhere/calls", "http://elsewhere/api") as running:
        assert running == Stack("postgresql://elsewhere/calls", "http://elsewhere/api")
    assert not home.exists()


def test_a_given_prefect_is_not_started(home: Path) -> None:
    """With a Prefect server given only Postgres is started, and the caller's own Prefect settings stay."""
    with stack(home, prefect_api_url="http://elsewhere/api") as running:
        assert len(pids(home)) == 1
        assert one(running.database_url, "SELECT current_database()") == "callweave"
        assert {"PREFECT_HOME", "PREFECT_API_AUTH_STRING"}.isdisjoint(client_environ(running, home))


def test_clients_of_our_server_keep_their_hands_off_the_users_prefect(home: Path) -> None:
    """Processes that use the embedded server have a Prefect home of their own and tell nobody."""
    environ = client_environ(Stack("", "http://127.0.0.1:4200/api", "callweave:key"), home)
    assert environ["PREFECT_API_AUTH_STRING"] == "callweave:key"
    assert environ["PREFECT_HOME"] == str(home / "prefect")
    assert environ["PREFECT_API_URL"] == "http://127.0.0.1:4200/api"
    assert environ["DO_NOT_TRACK"] == "1"


def test_a_stale_state_file_is_replaced(home: Path) -> None:
    """State left by a crash is not believed, even when another process has the pid by now, which is left alone."""
    with postgres(home) as database:
        before = one(database.url(), "SELECT system_identifier::text FROM pg_control_system()")
    bystander = subprocess.Popen(["sleep", "60"])
    for file in (home / "postgres.state", home / "postgres" / "postmaster.pid"):
        file.write_text(f"{bystander.pid}\npid={bystander.pid}\nsocket=/nowhere\n")
    with postgres(home) as database:
        assert one(database.url(), "SELECT system_identifier::text FROM pg_control_system()") == before
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_a_killed_postgres_is_recovered_with_its_data(home: Path) -> None:
    """What was committed before Postgres was killed is there after the next start."""
    with postgres(home) as database:
        with psycopg.connect(database.url()) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS number")
        os.kill(pids(home)[0], signal.SIGKILL)
        with postgres(home) as again:
            assert one(again.url(), "SELECT number FROM kept") == 42


def test_a_starter_killed_while_it_makes_the_cluster_is_followed_by_another(home: Path) -> None:
    """A cluster half made by a killed command is thrown away by the next."""
    starter = Command(home, "postgres")
    assert eventually(lambda: list(home.glob("postgres.new-*")))
    starter.kill()
    with postgres(home) as database:
        assert one(database.url("prefect"), "SELECT current_database()") == "prefect"


def test_many_commands_on_a_new_home_make_one_cluster(home: Path) -> None:
    """Commands started at once on a home that does not exist all find the same Postgres."""
    commands = [Command(home, "postgres") for _ in range(4)]
    assert len({command.running()["socket_folder"] for command in commands}) == 1
    (server,) = pids(home)
    for command in commands:
        command.leave()
    assert not alive(server)


@pytest.mark.parametrize("name", ["long" * 40, "comma, space and ü"], ids=["long", "odd"])
def test_any_path_will_do(home: Path, name: str) -> None:
    """A home whose path is too long or too odd for a socket works, for psycopg and for SQLAlchemy."""
    with postgres(home / name) as database:
        assert one(database.url(), "SELECT 1") == 1
        engine = create_engine(make_url(database.url()).set(drivername="postgresql+psycopg"))
        with engine.connect() as connection:
            assert connection.execute(text("SELECT 1")).scalar() == 1
        engine.dispose()
        assert stat.S_IMODE(database.socket_folder.stat().st_mode) == 0o700
    assert not database.socket_folder.exists()


def test_an_impossible_home_is_named(home: Path) -> None:
    """A home that cannot be a folder gives an error which names the variable to set."""
    home.parent.joinpath("file").touch()
    with pytest.raises(StackError, match="CALLWEAVE_HOME"), postgres(home.parent / "file" / "home"):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts Postgres as somebody else")
def test_somebody_elses_closed_folder_is_not_opened(home: Path) -> None:
    """Root's Postgres user is not let into a folder that another user has closed."""
    home.mkdir()
    os.chown(home, 12345, 12345)
    home.chmod(0o750)
    with pytest.raises(StackError, match="CALLWEAVE_HOME"), postgres(home / "inner"):
        pass
    assert stat.S_IMODE(home.stat().st_mode) == 0o750


def test_a_postgres_that_cannot_start_says_where_its_log_is(home: Path) -> None:
    """A broken cluster gives an error with the end of Postgres's log and its path."""
    with postgres(home):
        pass
    (home / "postgres" / "global" / "pg_control").unlink()
    with pytest.raises(StackError, match=r"postgres\.log(.|\n)*pg_control"), postgres(home):
        pass
