"""The registry: one line per provider."""

from models.provider import Provider
from tasks.providers import bird, sakari, skipcall

PROVIDERS: dict[str, Provider] = {
    provider.name: provider
    for provider in (
        sakari.PROVIDER,
        bird.PROVIDER,
        skipcall.PROVIDER,
    )
}
