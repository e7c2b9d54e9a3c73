"""One message to people about a run that did not complete."""

from prefect import get_run_logger

from models.vocabulary import RunState
from tasks.client import masked
from tasks.line import Line
from tasks.settings import Settings


def alert(settings: Settings, title: str, lines: list[Line]) -> None:
    """Posts to `CALLWEAVE_ALERT_URL`, if set; a broken channel is logged and changes nothing else."""
    if (url := settings.general.callweave_alert_url) is None:
        return
    from apprise import Apprise  # noqa: PLC0415 - half a second of import, only where somebody is to be told

    channel = Apprise()
    if not (channel.add(url.get_secret_value()) and channel.notify(title=title, body=message(lines))):
        get_run_logger().error("The alert could not be delivered: check CALLWEAVE_ALERT_URL.")


def message(lines: list[Line]) -> str:
    """A sentence per stream that is not whole."""
    told = [line for line in lines if line.state is not RunState.COMPLETED]
    return "\n".join(f"{line.provider} {line.stream}: {line.state}. {masked(line.error or '')}" for line in told)
