"""Callweave as people meet it: Prefect's UI in a real browser, on a real server with a real worker."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import (
    BrowserContext,
    Locator,
    Page,
    TimeoutError,  # noqa: A004 - the browser's
    ViewportSize,
    expect,
    sync_playwright,
)

from tasks.embedded import EmbeddedPostgres, Stack
from tasks.providers import PROVIDERS
from tests.e2e.test_cli import days_ago
from tests.support.builders import Json
from tests.support.installation import Installation
from tests.support.patience import PATIENCE, eventually

expect.set_options(timeout=PATIENCE * 1000)
CHROMIUM = Path("/usr/bin/chromium")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-software-rasterizer",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
    # Nothing is asked of any other machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
EVERY_FIVE_MINUTES = re.compile("Every 5 minutes")
SCREEN: ViewportSize = {"width": 1600, "height": 1000}
MILLISECONDS_TO_APPEAR = PATIENCE * 1000
"""Milliseconds."""

pytestmark = pytest.mark.skipif(
    not CHROMIUM.exists(), reason=f"no browser at {CHROMIUM}: apt-get install chromium, and Prefect's UI is tested too"
)


@pytest.fixture(scope="module")
def installed(cluster: EmbeddedPostgres, servers: Stack) -> Iterator[Installation]:
    """Deployed, with a worker that reads two windows at a time."""
    with Installation(cluster, servers, calls=240) as installation:
        installation.deploy()
        with installation.worker(CALLWEAVE_WORKERS="2"):
            yield installation


@pytest.fixture(scope="module")
def context(installed: Installation) -> Iterator[BrowserContext]:
    """One for all tests: each new one would read and compile the whole UI anew."""
    origin = installed.api.removesuffix("/api")
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET) as browser,
        browser.new_context(base_url=origin, viewport=SCREEN, reduced_motion="reduce") as context,
    ):
        context.set_default_timeout(MILLISECONDS_TO_APPEAR)
        with context.new_page() as page:
            page.goto(f"/open#{installed.key}")
            expect(page).to_have_url(re.compile("/v2/"))
        yield context


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    with context.new_page() as page:
        yield page


def row(page: Page, flow: str, deployment: str) -> Locator:
    """The row of a deployment in the list of all."""
    named = page.get_by_role("row").filter(has=page.get_by_role("link", name=deployment, exact=True))
    return named.filter(has_text=flow)


def open_deployment(page: Page, flow: str, deployment: str) -> None:
    page.goto("/v2/deployments")
    row(page, flow, deployment).get_by_role("link", name=deployment, exact=True).click()


def show_run(page: Page, run: str, state: str, log: str = "") -> None:
    """Looks at a run's page until it tells the state, and its log what is wanted: not all of it is live."""

    def said() -> bool:
        page.goto(f"/v2/runs/flow-run/{run}")
        try:
            page.get_by_role("log").get_by_role("listitem").first.wait_for(timeout=4_000)
        except TimeoutError:
            return False
        shown = page.get_by_role("main")
        return shown.get_by_text(state, exact=True).count() > 0 and bool(re.search(log, shown.inner_text()))

    assert eventually(said), page.get_by_role("main").inner_text()


def latest_run(installed: Installation, deployment: str) -> Json:
    query = {"deployment_id": {"any_": [installed.deployments()[deployment]["id"]]}}
    found: list[Json] = eventually(lambda: installed.found("flow_runs", flow_runs=query))
    return found[0]


def test_deployments_with_their_schedules(page: Page) -> None:
    """The list shows every deployment with its tags and when it runs."""
    page.goto("/v2/deployments")
    for name in PROVIDERS:
        for stream, schedule in (("calls", EVERY_FIVE_MINUTES), ("contacts", re.compile("03:17 AM"))):
            shown = row(page, f"sync-{name}", stream)
            expect(shown).to_contain_text(schedule)
            expect(shown).to_contain_text(name)
    expect(row(page, "reconcile", "default")).to_contain_text(EVERY_FIVE_MINUTES)
    expect(row(page, "backfill", "manual")).not_to_contain_text(re.compile("Every|AM"))


def test_sync_from_its_form(page: Page, installed: Installation) -> None:
    """A sync started from its form runs with what was changed there, and leaves its artifacts."""
    open_deployment(page, "sync-bird", "calls")
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Custom run").click()
    page.get_by_label("full").click()
    page.get_by_role("tab", name="Filters").click()
    page.get_by_role("button", name="Select direction").click()
    page.get_by_role("option", name="incoming").click()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Submit").click()
    expect(page).not_to_have_url(re.compile("/run"))
    run = latest_run(installed, "sync-bird/calls")
    assert run["parameters"]["full"] is True
    assert run["parameters"]["filters"]["direction"] == "incoming"
    assert run["parameters"]["streams"] == ["calls"]

    installed.ended(run["id"])
    show_run(page, run["id"], "Completed", log=r"calls completed: [1-9]\d* records")
    page.get_by_role("tab", name="Artifacts").click()
    for key in ("bird-progress", "bird-sync", "bird-status"):
        expect(page.get_by_role("main")).to_contain_text(key)
    directions = {payload["direction"] for payload in installed.held().values()}
    assert directions == {"incoming"}


def test_status_page(page: Page, installed: Installation) -> None:
    """The status page tells freshness and shows its picture, and every version of it is kept under one key."""
    assert installed.ended(installed.start("sync-skipcall/calls"))["state_name"] == "Completed"
    page.goto("/v2/artifacts/key/skipcall-status")
    page.get_by_role("main").get_by_role("link", name=re.compile(r"^[0-9a-f]{8}$")).first.click()

    expect(page.get_by_role("heading", name="Skipcall")).to_be_visible()
    expect(page.get_by_text("are complete up to").first).to_be_visible()
    picture = page.get_by_role("img", name="Calls, rejected records and minutes behind, per day")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.naturalWidth") > 0


def test_schedule_switched_off_and_on(page: Page, installed: Installation) -> None:
    """A schedule is switched off and on again on its deployment's page."""

    def is_on() -> bool:
        (schedule,) = installed.deployments()["sync-skipcall/contacts"]["schedules"]
        return bool(schedule["active"])

    open_deployment(page, "sync-skipcall", "contacts")
    switch = page.get_by_role("switch", name=re.compile("03:17 AM"))
    switch.click()
    expect(switch).not_to_be_checked()
    assert eventually(lambda: not is_on())
    switch.click()
    expect(switch).to_be_checked()
    assert eventually(is_on)


def test_cancelled_backfill_is_resumed(page: Page, installed: Installation) -> None:
    """A backfill that is cancelled in the UI ends; a later one reads only what it had left."""
    wanted = {"provider": "sakari", "since": days_ago(80), "until": days_ago(1)}
    installed.sandbox.faults.add("slow")
    installed.sandbox.faults.seconds_late = 4.0
    run = installed.start("backfill/manual", **wanted)
    assert eventually(lambda: installed.reading(run), 120)
    show_run(page, run, "Running")
    page.get_by_role("main").get_by_role("button", name="Open menu").click()
    page.get_by_role("menuitem", name="Cancel").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Cancel Flow Run").click()
    assert installed.ended(run)["state_type"] == "CANCELLED"
    installed.sandbox.faults.discard("slow")
    show_run(page, run, "Cancelled")
    done = dict(installed.rows("SELECT id, attempts FROM sync_window WHERE state = 'done' AND provider = 'sakari'"))
    assert done

    installed.rows("UPDATE sync_window SET claimed_until = now() RETURNING id")
    assert installed.ended(installed.start("backfill/manual", **wanted))["state_name"] == "Completed"
    after = dict(installed.rows("SELECT id, attempts FROM sync_window WHERE state = 'done' AND provider = 'sakari'"))
    assert len(after) > len(done)
    assert {id_: after[id_] for id_ in done} == done
    assert installed.rows("SELECT count(*) FROM sync_window WHERE state = 'open'") == [(0,)]
