"""The publication (one row) and its affiliates."""

import datetime
import enum

from sqlalchemy import CheckConstraint, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.foundation.db import Base, Word, only


class Publication(Base):
    """The site's identity. Sending refuses to start while a field that law or providers ask for is empty."""

    __tablename__ = "publications"
    __table_args__ = (CheckConstraint("id = 1", name="only_one"),)

    id: Mapped[int] = mapped_column(primary_key=True, default=1)
    name: Mapped[str] = mapped_column(String(120))
    """As readers know it; also the From display name (standards F11)."""
    site_url: Mapped[str] = mapped_column(Text)
    postal_address: Mapped[str] = mapped_column(Text, default="")
    """Legal name and postal address, one line or several."""
    contact_address: Mapped[str] = mapped_column(String(254), default="")
    """Reply-To of everything: somebody reads it (standards F13)."""
    privacy_url: Mapped[str] = mapped_column(Text, default="")
    digest_from: Mapped[str] = mapped_column(String(254), default="")
    confirmation_from: Mapped[str] = mapped_column(String(254), default="")
    """Another address than `digest_from` (standards F14)."""
    list_domain: Mapped[str] = mapped_column(String(254), default="")
    """Right side of List-Id, stable for ever (RFC 2919 section 2); made from the sender's domain at the beginning."""
    sender_id: Mapped[str] = mapped_column(String(15), default="")
    """Last field of Feedback-ID: 5 to 15 characters, constant (standards L13)."""
    language: Mapped[str] = mapped_column(String(8), default="en")
    timezone: Mapped[str] = mapped_column(String(64), default="UTC")
    accent_light: Mapped[str] = mapped_column(String(7), default="#8a1c1c")
    accent_dark: Mapped[str] = mapped_column(String(7), default="#f0a8a0")
    updated_at: Mapped[datetime.datetime]


class Affiliate(Base):
    """A third party that readers may separately consent to, by its name."""

    __tablename__ = "affiliates"

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(60), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    archived_at: Mapped[datetime.datetime | None]


class KeyAlgorithm(enum.StrEnum):
    """How a DKIM key signs."""

    RSA = "rsa"
    """rsa-sha256, 2048 bits (RFC 6376, RFC 8301)."""
    ED25519 = "ed25519"
    """ed25519-sha256 (RFC 8463): some providers fail mail that carries it, so it is off unless asked for."""


class DkimKey(Base):
    """A key that signs our mail; its public half stands in the DNS at `<selector>._domainkey.<domain>`."""

    __tablename__ = "dkim_keys"
    __table_args__ = (
        UniqueConstraint("domain", "selector"),
        Index(
            "ix_dkim_keys_signing",
            "domain",
            "algorithm",
            unique=True,
            **only("signing_from IS NOT NULL AND retired_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    domain: Mapped[str] = mapped_column(String(255))
    selector: Mapped[str] = mapped_column(String(63))
    algorithm: Mapped[KeyAlgorithm] = mapped_column(Word(KeyAlgorithm))
    sealed: Mapped[str] = mapped_column(Text)
    """The private key (PKCS #8, PEM), encrypted under the data keys."""
    record: Mapped[str] = mapped_column(Text)
    """The value of the TXT record."""
    created_at: Mapped[datetime.datetime]
    signing_from: Mapped[datetime.datetime | None]
    """Since when it has signed; until then it is only published."""
    retired_at: Mapped[datetime.datetime | None]
    """Since when it signs no more; its record stays published for a while (standards A5)."""
