"""Prefect's automations, from the files of the folder `automations`: applied by name, as often as one likes.

A message needs a notification block. Prefect's server knows none for any Apprise URL by name; its "Slack Webhook" hands
whatever is no Slack address to Apprise as it is. The URL is encrypted in Prefect's database, as all secrets of blocks.
"""

from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # Prefect brings it, without types

from tasks.prefect_server import prefect_client, prefect_errors

FOLDER = Path(__file__).parents[2] / "automations"
BLOCK = "callweave-alerts"


def apply(alert_url: str | None, folder: Path = FOLDER) -> list[str]:
    """Creates or updates each automation; returns their names. Without a URL those that send a message are left out.

    Raises `PrefectUnavailable` where the server does not answer or refuses.
    """
    with prefect_errors():
        block = _save_block(alert_url) if alert_url else None
    with prefect_client() as client:
        wanted = [made for file in sorted(folder.glob("*.yaml")) if (made := _read(file, block))]
        for one in wanted:
            _upsert(client, one)
    return [one["name"] for one in wanted]


def names(*, with_alerts: bool) -> list[str]:
    """Of those that are applied; without an alert URL those that send a message are none of them."""
    read = (_read(file, "any" if with_alerts else None) for file in sorted(FOLDER.glob("*.yaml")))
    return [one["name"] for one in read if one]


def _save_block(alert_url: str) -> str:
    from prefect.blocks.notifications import SlackWebhook  # noqa: PLC0415 - a second of import, only for Prefect
    from pydantic import SecretStr  # noqa: PLC0415

    saved: Any = SlackWebhook(url=SecretStr(alert_url), notify_type="warning")
    return str(saved.save(BLOCK, overwrite=True, _sync=True))


def _read(file: Path, block: str | None) -> dict[str, Any] | None:
    """An automation as the file spells it, with the block its messages go through; None where there is none."""
    found: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    for action in found["actions"]:
        if action["type"] == "send-notification":
            if block is None:
                return None
            action["block_document_id"] = block
    return found


def _upsert(client: Any, wanted: dict[str, Any]) -> None:
    """One that was switched off stays off."""
    from prefect.events.schemas.automations import AutomationCore  # noqa: PLC0415 - see above

    known = client.read_automations_by_name(wanted["name"])
    if not known:
        client.create_automation(AutomationCore.model_validate(wanted | {"enabled": True}))
        return
    client.update_automation(known[0].id, AutomationCore.model_validate(wanted | {"enabled": known[0].enabled}))
    for doubled in known[1:]:
        client.delete_automation(doubled.id)
