import http.client
import signal
import sys
from functools import cached_property
from pathlib import Path

from models.errors import StackError
from tasks.embedded.daemon import Daemon
from tasks.embedded.environ import prefect_home, server_environ
from tasks.embedded.key import fingerprint, server_key

_SCRIPT = str(Path(__file__).with_name("serve.py"))
_SECONDS_TO_START = 90
_FIRST_PORT = "4200"


class PrefectServer:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.daemon = Daemon(home, "prefect")

    @cached_property
    def key(self) -> str:
        """What its API asks for, as `user:password`."""
        return server_key(self.home)

    def launch(self, database_url: str) -> None:
        """Starts it, if it is not running; it waits for its database by itself.

        One that runs with another key, or with none as before there were keys, is replaced.
        """
        facts = {"key": fingerprint(self.key)}
        if self.daemon.running():
            if facts.items() <= self.daemon.facts().items():
                return
            self.stop()
        folder = prefect_home(self.home)
        folder.mkdir(mode=0o700, exist_ok=True)
        environ = server_environ(self.home, database_url.replace("postgresql:", "postgresql+asyncpg:"), self.key)
        # -P: a folder named like one of Prefect's modules must not be imported in its place.
        command = [sys.executable, "-P", _SCRIPT, database_url, self._port()]
        self.daemon.launch(command, facts, cwd=folder, env=environ)

    def _port(self) -> str:
        """The one before, if it is free: workers that are running know no other."""
        return self.daemon.last_facts().get("port", _FIRST_PORT)

    def ready(self, database_url: str) -> str:
        """Its API's URL. A server found running that does not recover is replaced."""
        for _ in range(2):
            self.launch(database_url)
            if self.daemon.wait(self._is_ready, _SECONDS_TO_START):
                return f"http://127.0.0.1:{self.daemon.facts()['port']}/api"
            self.stop()
        raise StackError(self.daemon.complaint())

    def stop(self) -> None:
        """Not waited for long: what it knows is in Postgres, and after a lost connection it may not end by itself."""
        self.daemon.stop(signal.SIGTERM, signal.SIGKILL, patience=5)

    def _is_ready(self) -> bool:
        """Ready, not only healthy: this one asks the database."""
        connection = http.client.HTTPConnection("127.0.0.1", int(self.daemon.facts().get("port", 0)), timeout=5)
        try:
            connection.request("GET", "/api/ready")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
