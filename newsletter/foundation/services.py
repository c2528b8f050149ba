"""What the composition root has built, for entry points to take and hand to acts."""

from dataclasses import dataclass

from flask import Flask, current_app

from newsletter.foundation.fetch import Fetcher
from newsletter.foundation.links import Links
from newsletter.foundation.secrets import Hasher, Vault
from newsletter.foundation.settings import Settings
from newsletter.foundation.tokens import Tokens

_KEY = "newsletter"


@dataclass(frozen=True)
class Services:
    """The tools of one application: made once, shared by all its requests and tasks."""

    settings: Settings
    links: Links
    tokens: Tokens
    vault: Vault
    hasher: Hasher
    fetcher: Fetcher

    @classmethod
    def build(cls, settings: Settings) -> "Services":
        """Make the tools that `settings` describe."""
        return cls(
            settings=settings,
            links=Links(settings.public_url, settings.link_keys),
            tokens=Tokens(settings.secret_keys),
            vault=Vault(settings.data_keys),
            hasher=Hasher(settings.hash_key),
            fetcher=Fetcher(allow_hosts=frozenset(settings.fetch_allow_hosts)),
        )

    def install(self, app: Flask) -> None:
        """Make this set the one that `services()` finds inside `app`."""
        app.extensions[_KEY] = self


def services() -> Services:
    """Return the tools of the current application."""
    found = current_app.extensions[_KEY]
    assert isinstance(found, Services)
    return found
