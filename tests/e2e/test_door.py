"""Prefect's server as a stranger meets it: another page in the browser, another name for its address, no key."""

import base64
import json
import re
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tasks.diagnostics.prefect_checks import of_door
from tasks.embedded import EmbeddedPostgres, Stack
from tests.e2e.test_browser import CHROMIUM, MILLISECONDS_TO_APPEAR, QUIET, SCREEN
from tests.support.builders import Json
from tests.support.installation import Installation
from tests.support.patience import PATIENCE
from tests.support.prefect_api import api_client

STRANGER = "http://stranger.example"
REBOUND = "rebound.example"
DEPLOYMENT = "watchdog/default"
UNTOUCHED = "backfill/manual"
ATTACKS = {
    "lists deployments": ("POST", "/deployments/filter", {}),
    "reads keys": ("POST", "/block_documents/filter", {"include_secrets": True}),
    "reads settings": ("GET", "/admin/settings", None),
    "starts a run": ("POST", "/flow_runs/", {"flow_id": "00000000-0000-0000-0000-000000000000"}),
    "makes a work pool": ("POST", "/work_pools/", {"name": "stranger", "type": "process"}),
    "reads keys under another path": ("POST", "//block_documents/filter", {"include_secrets": True}),
}

needs_chromium = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser at {CHROMIUM}: apt-get install chromium")


@pytest.fixture(scope="module")
def installed(cluster: EmbeddedPostgres, servers: Stack) -> Iterator[Installation]:
    with Installation(cluster, servers) as installation:
        installation.deploy()
        yield installation


# --- over HTTP


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("headers", [{}, {"Origin": STRANGER}, {"Authorization": "Basic Y2FsbHdlYXZlOg=="}], ids=str)
def test_nothing_without_the_key(servers: Stack, attack: str, headers: dict[str, str]) -> None:
    """Without the key, or with another one, the API answers 401, and nothing that a foreign page may read."""
    method, path, body = ATTACKS[attack]

    answer = httpx.request(method, servers.prefect_api_url + path, json=body, headers=headers)

    assert answer.status_code == 401
    assert "access-control-allow-origin" not in answer.headers


def test_only_its_own_pages_may_ask(servers: Stack) -> None:
    """A preflight is answered for the UI's own origins, and for no other page, also not one on this machine."""
    origin = servers.prefect_api_url.removesuffix("/api")
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}

    def is_allowed(page: str) -> bool:
        answer = httpx.options(f"{origin}/api/deployments/filter", headers=asked | {"Origin": page})
        return answer.headers.get("access-control-allow-origin") in {page, "*"}

    assert is_allowed(origin)
    assert is_allowed(origin.replace("127.0.0.1", "localhost"))
    assert not [page for page in (STRANGER, "null", "http://127.0.0.1:1", "http://localhost") if is_allowed(page)]


@pytest.mark.parametrize("path", ["/", "/open", "/ui-settings", "/api/ready", "/api/admin/version"])
def test_another_name_for_its_address(servers: Stack, path: str) -> None:
    """A request whose Host is not this machine's is refused, also with the key (DNS rebinding)."""
    port = urlsplit(servers.prefect_api_url).port
    with api_client(servers) as client:
        client.base_url = f"http://127.0.0.1:{port}"
        assert client.get(path, headers={"Host": f"localhost:{port}"}).status_code < 400
        for host in (f"{REBOUND}:{port}", REBOUND, f"127.0.0.1.{REBOUND}:{port}", ""):
            assert client.get(path, headers={"Host": host}).status_code == 400


def login(servers: Stack, path: str, token: str, **options: Any) -> Json:
    """What a websocket answers to `token`."""
    url = servers.prefect_api_url.replace("http:", "ws:") + path
    with connect(url, subprotocols=["prefect"], proxy=None, **options) as socket:  # type: ignore[list-item]  # a NewType
        socket.send(json.dumps({"type": "auth", "token": token}))
        answer: Json = json.loads(socket.recv(timeout=PATIENCE))
        return answer


@pytest.mark.parametrize("path", ["/events/in", "/events/out", "/logs/out"])
def test_websockets(servers: Stack, path: str) -> None:
    """Events and logs are exchanged with whoever has the key and the right Host, with nobody else."""
    assert login(servers, path, servers.prefect_key) == {"type": "auth_success"}
    with pytest.raises(ConnectionClosed, match="1008"):
        login(servers, path, "callweave:")
    with pytest.raises(InvalidStatus, match="400"):
        login(servers, path, servers.prefect_key, additional_headers={"Host": REBOUND})


def test_check_is_content(servers: Stack) -> None:
    """`check` finds nothing wrong with the door of the embedded server."""
    assert of_door(servers.prefect_api_url).problem is None


# --- with the key: what a run may not do


def test_a_run_brings_no_command_and_no_environment(installed: Installation, tmp_path: Path) -> None:
    """Job variables are refused; where Prefect takes them unread, the worker runs the flow and nothing else."""
    mark = tmp_path / "ran"
    variables = {
        "command": f"touch {mark}",
        "env": {"DATABASE_URL": "postgresql://nowhere.example/x"},
        "env.CALLWEAVE_HOME": "/nowhere",
        "working_dir": "/nowhere",
    }
    deployment = installed.deployments()[DEPLOYMENT]
    path = f"/deployments/{deployment['id']}"
    for name, value in variables.items():
        body = {"state": {"type": "SCHEDULED"}, "job_variables": {name: value}}
        assert installed.client.post(f"{path}/create_flow_run", json=body).status_code == 422
    assert installed.client.patch(path, json={"job_variables": variables}).is_success
    body = {
        "flow_id": deployment["flow_id"],
        "deployment_id": deployment["id"],
        "work_pool_name": "callweave",
        "state": {"type": "SCHEDULED"},
        "job_variables": variables,
    }
    run: Json = installed.client.post("/flow_runs/", json=body).raise_for_status().json()
    assert installed.run_of(run["id"])["job_variables"] == variables
    with installed.worker():
        ended = installed.ended(run["id"])
    assert ended["state_name"] == "Completed", ended["state"]
    assert not mark.exists()
    installed.client.patch(path, json={"job_variables": {}}).raise_for_status()


# --- in a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """In which a foreign name leads to this machine, as after DNS rebinding."""
    rules = f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
    quiet = [one for one in QUIET if "resolver" not in one]
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM, args=[*quiet, rules]) as browser,
    ):
        yield browser


@pytest.fixture
def context(browser: Browser, servers: Stack) -> Iterator[BrowserContext]:
    """A browser that has never seen the UI."""
    origin = servers.prefect_api_url.removesuffix("/api")
    with browser.new_context(base_url=origin, viewport=SCREEN, reduced_motion="reduce") as context:
        context.set_default_timeout(MILLISECONDS_TO_APPEAR)
        yield context


@pytest.fixture
def foreign_page(tmp_path: Path) -> Iterator[str]:
    """The address of a page on another origin."""
    (tmp_path / "index.html").write_text("<!doctype html><title>Elsewhere</title><form method=post></form>")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=tmp_path)) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/index.html"
        server.shutdown()


ASK = """
async ([url, options]) => {
    try { const answer = await fetch(url, options); return [answer.type, answer.status, await answer.text()] }
    catch (error) { return [error.name, 0, ""] }
}
"""
SIMPLE = {"method": "POST", "mode": "no-cors", "headers": {"Content-Type": "text/plain"}}
READABLE = {"method": "POST", "credentials": "include", "headers": {"Content-Type": "text/plain"}, "body": "{}"}
PREFLIGHTED = {"method": "POST", "headers": {"Content-Type": "application/json"}, "body": "{}"}


@needs_chromium
def test_a_page_of_another_origin(context: BrowserContext, installed: Installation, foreign_page: str) -> None:
    """It reads nothing and starts nothing, even in the browser that is logged in, even if it knew the key."""
    key = base64.b64encode(installed.key.encode()).decode()
    id_ = installed.deployments()[UNTOUCHED]["id"]
    create = f"{installed.api}/deployments/{id_}/create_flow_run"
    of_deployment = {"deployment_id": {"any_": [id_]}}
    secrets = f"{installed.api}/block_documents/filter"
    page = context.new_page()
    page.goto(f"/open#{installed.key}")
    expect(page.get_by_role("link", name="Deployments")).to_be_visible()
    page.goto(foreign_page)
    answered: list[int] = []
    page.on("response", lambda answer: answered.append(answer.status))

    body = json.dumps({"state": {"type": "SCHEDULED"}, "job_variables": {"command": "true"}})
    assert page.evaluate(ASK, [create, SIMPLE | {"body": body}]) == ["opaque", 0, ""]
    assert answered == [401]
    assert page.evaluate(ASK, [secrets, READABLE])[0] == "TypeError"
    assert page.evaluate(ASK, [secrets, PREFLIGHTED])[0] == "TypeError"
    with_key = PREFLIGHTED | {"headers": {"Content-Type": "text/plain", "Authorization": f"Basic {key}"}}
    assert page.evaluate(ASK, [secrets, with_key])[0] == "TypeError"
    page.evaluate("action => Object.assign(document.forms[0], {action}).submit()", create)
    page.wait_for_url(create)
    expect(page.locator("body")).to_contain_text("Unauthorized")
    assert installed.found("flow_runs", flow_runs=of_deployment) == []


@needs_chromium
def test_a_page_whose_name_leads_here(context: BrowserContext, servers: Stack) -> None:
    """A page of another name that was made to lead to this machine gets nothing from it (DNS rebinding)."""
    page = context.new_page()
    rebound = servers.prefect_api_url.replace("127.0.0.1", REBOUND)
    answer = page.goto(f"{rebound}/health")
    assert answer is not None
    assert (answer.status, answer.text()) == (400, "Invalid host header")


def origin_of(url: str) -> str:
    found = urlsplit(url)
    return f"{found.scheme}://{found.netloc}" if found.netloc else f"{found.scheme}:"


@needs_chromium
def test_the_ui_asks_for_the_key_once(context: BrowserContext, servers: Stack) -> None:
    """The UI asks for the key, refuses another one, keeps the right one, and calls its own server alone."""
    origin = servers.prefect_api_url.removesuffix("/api")
    assert urlsplit(origin).port != 4200
    page = context.new_page()
    asked: set[str] = set()
    page.on("requestfinished", lambda request: asked.add(origin_of(request.url)))
    page.on("requestfailed", lambda request: None if request.failure == "csp" else asked.add(origin_of(request.url)))
    page.goto("/")
    password = page.get_by_placeholder("admin:pass")
    password.fill("callweave:wrong")
    password.press("Enter")
    expect(page.get_by_text("Invalid credentials")).to_be_visible()
    password.fill(servers.prefect_key)
    password.press("Enter")
    expect(page.get_by_role("link", name="Deployments")).to_be_visible()
    context.new_page().goto("/")
    again = context.pages[-1]
    expect(again.get_by_role("link", name="Deployments")).to_be_visible()
    expect(again).to_have_url(re.compile("/v2/dashboard"))
    assert asked - {"data:"} == {origin}


@needs_chromium
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_the_printed_address_logs_in(context: BrowserContext, servers: Stack, name: str) -> None:
    """`/open#KEY` shows the UI at once, under both names of this machine; the key does not stay in the address."""
    page = context.new_page()
    page.goto(f"{servers.prefect_api_url.removesuffix('/api').replace('127.0.0.1', name)}/open#{servers.prefect_key}")
    expect(page).to_have_url(re.compile("/v2/dashboard"))
    expect(page.get_by_role("link", name="Deployments")).to_be_visible()
    assert servers.prefect_key not in page.url
