"""docs/settings.md: the reference of all settings, as Markdown."""

from collections.abc import Iterable

from tasks.settings_reference import Setting

HEAD = """# Settings

Made by `callweave settings --markdown`; a test holds it against the settings themselves. They are read from the
environment and from `.env` in the current folder; the environment wins. `callweave settings` prints what is in force
and where it came from, with `***` for secrets.

- **Durations** are written `90d`, `36h`, `15m` or as ISO 8601 (`P90D`, `PT15M`).
- **Credentials** may be `block:NAME`: the flow loads that Prefect Secret block when it runs.
- A provider is **configured** when one of its needed settings is set; then all needed ones must be.

| setting | default | | what it does |
|---|---|---|---|
"""


def page(settings: Iterable[Setting]) -> str:
    return HEAD + "".join(map(_line, settings))


def _line(one: Setting) -> str:
    kinds = ", ".join(word for word, holds in (("needed", one.is_needed), ("secret", one.is_secret)) if holds)
    default = f"`{one.default}`" if one.default else ""
    return f"| `{one.variable}` | {default} | {kinds} | {' '.join(one.what.split())} |\n"
