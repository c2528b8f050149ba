"""Settings: read once, from the environment and an optional `.env`, into one typed object.

Every name carries the prefix NEWSLETTER_. What is missing or malformed is named all at once. No secret has a default:
`newsletter init` makes them, the demo makes its own.
"""

import ipaddress
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from newsletter.foundation.errors import SettingsError

PREFIX = "NEWSLETTER_"
SHORTEST_KEY = 32
"""Characters a key must have at least; `newsletter init` makes them of 43 (256 bits)."""
_SMTP_OPTIONS = {"starttls": ("required", "opportunistic"), "auth": ("clear",)}
_WEAK = ("change", "secret", "default", "example", "password")

KeyRing = Annotated[tuple[SecretStr, ...], NoDecode]
"""Keys separated by commas, oldest first: the last one signs, all of them verify."""
Words = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """All that can be set from outside. `mode` decides how strict the rest is judged."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=".env", extra="ignore", frozen=True)

    mode: Literal["production", "development"] = "production"
    debug: bool = False
    public_url: str = Field(default="", description="Where readers reach us, e.g. https://news.example.org")
    data_dir: Path = Path("var")
    """Journals, the SQLite file and caught mail live here."""
    database_url: str = ""
    """Empty: a SQLite file in `data_dir`."""
    redis_url: str = ""
    """Empty: embedded, the worker process owns an in-process queue."""
    smtp_url: SecretStr = SecretStr("")
    """smtp://user:password@host:port (STARTTLS, verified) or smtps://… (TLS from the start); options: _SMTP_OPTIONS."""
    smtp_connections: int = Field(default=5, ge=1, le=100)
    secret_keys: KeyRing = ()
    link_keys: KeyRing = ()
    data_keys: KeyRing = ()
    hash_key: SecretStr = SecretStr("")
    """Keys the hashes of the suppression list and of the mail caps. It must never change."""
    bounce_domain: str = ""
    """Right side of the return path; empty: the domain of the sender."""
    inbound_address: str = ""
    """Where mail to us is processed; empty: none, and no mailto in List-Unsubscribe."""
    templates: str = ""
    """A folder of the operator's own templates, laid over ours; empty: none."""
    trusted_proxies: int = Field(default=0, ge=0, le=5)
    consent_records_client: bool = False
    """Keep the truncated IP address and the browser's name with each consent."""
    disposable_domains: Literal["allow", "refuse"] = "allow"
    fetch_allow_hosts: Words = ()
    """`host` or `host:port` of private addresses that sources may be fetched from."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "text"] = "json"

    @field_validator("secret_keys", "link_keys", "data_keys", "fetch_allow_hosts", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("templates")
    @classmethod
    def _a_folder(cls, value: str) -> str:
        if value and not (Path(value) / "email").is_dir():
            raise ValueError("must be a folder that holds a folder called email")
        return value

    @field_validator("public_url")
    @classmethod
    def _origin_only(cls, value: str) -> str:
        if not value:
            return value
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("must look like https://news.example.org")
        return value.rstrip("/")

    @field_validator("smtp_url")
    @classmethod
    def _smtp(cls, value: SecretStr) -> SecretStr:
        url = value.get_secret_value()
        if url:
            try:
                parts = urlsplit(url)
                fine = parts.scheme in ("smtp", "smtps") and parts.hostname and parts.port != 0
            except ValueError:  # whose words would repeat the password
                fine = False
            if not fine:
                raise ValueError("must look like smtp://user:password@mail.example.org:587")
            for option, chosen in parse_qsl(parts.query, keep_blank_values=True):
                if option != "hello" and chosen not in _SMTP_OPTIONS.get(option, ()):
                    raise ValueError("takes starttls=required, starttls=opportunistic, auth=clear and hello=NAME")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        problems = [*self._key_problems(), *self._address_problems()]
        if self.mode == "production" and self.debug:
            problems.append(f"{PREFIX}DEBUG must be off in production")
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _key_problems(self) -> list[str]:
        problems = []
        for name, keys in (
            ("SECRET_KEYS", self.secret_keys),
            ("LINK_KEYS", self.link_keys),
            ("DATA_KEYS", self.data_keys),
            ("HASH_KEY", (self.hash_key,) if self.hash_key.get_secret_value() else ()),
        ):
            if not keys:
                problems.append(f"{PREFIX}{name} is missing; `newsletter init` makes one")
            problems += [
                f"{PREFIX}{name} holds a key that is too short or easy to guess; "
                f"use at least {SHORTEST_KEY} random characters"
                for key in keys
                if len(key.get_secret_value()) < SHORTEST_KEY
                or len(set(key.get_secret_value())) < 10
                or any(word in key.get_secret_value().lower() for word in _WEAK)
            ]
        return problems

    def _address_problems(self) -> list[str]:
        problems = []
        if not self.public_url:
            problems.append(f"{PREFIX}PUBLIC_URL is missing: the address readers reach this service at, with https://")
        elif self.mode == "production" and not self.public_url.startswith("https://") and not self.on_loopback:
            problems.append(f"{PREFIX}PUBLIC_URL must start with https:// in production")
        if not self.smtp_url.get_secret_value():
            problems.append(f"{PREFIX}SMTP_URL is missing: the relay that takes our mail, smtp://host:port")
        return problems

    @property
    def on_loopback(self) -> bool:
        """Whether the public URL names this machine itself."""
        host = urlsplit(self.public_url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    @property
    def database(self) -> str:
        """SQLAlchemy's URL of the database."""
        return self.database_url or f"sqlite:///{(self.data_dir / 'newsletter.db').absolute()}"

    @property
    def embedded(self) -> bool:
        """Whether one worker process with an in-process queue does all the work."""
        return not self.redis_url


def load(**overrides: Any) -> Settings:
    """Read the settings; `overrides` win. Raises SettingsError naming every problem at once."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        problems = []
        for detail in error.errors(include_input=False, include_url=False):
            message = detail["msg"].removeprefix("Value error, ")
            name = "_".join(str(part) for part in detail["loc"]).upper()
            problems += [f"{PREFIX}{name} {message}"] if name else message.splitlines()
        raise SettingsError("The settings need attention:\n" + "\n".join(f"  - {line}" for line in problems)) from None
