"""The first tables.

Revision: 0001
"""

import sqlalchemy as sa
from alembic import op

from newsletter.foundation.db import BIG_ID, UTCDateTime

revision = "0001"
down_revision = None

NO_UPDATE = "consents are append-only"


def upgrade() -> None:
    op.create_table(
        "affiliates",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("slug", sa.String(length=60), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("archived_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_affiliates")),
        sa.UniqueConstraint("slug", name=op.f("uq_affiliates_slug")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "alarms",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=120), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("raised_at", UTCDateTime(), nullable=False),
        sa.Column("ended_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarms")),
        sa.UniqueConstraint("key", name=op.f("uq_alarms_key")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "cadences",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("slug", sa.String(length=60), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("weekdays", sa.String(length=7), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("minute", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("max_per_category", sa.Integer(), nullable=False),
        sa.Column("subject_text", sa.String(length=200), nullable=False),
        sa.Column("utm", sa.JSON(), nullable=False),
        sa.Column("copies", sa.JSON(), nullable=False),
        sa.Column("max_lateness_minutes", sa.Integer(), nullable=False),
        sa.Column("alarm_minutes", sa.Integer(), nullable=False),
        sa.Column("archived_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cadences")),
        sa.UniqueConstraint("slug", name=op.f("uq_cadences_slug")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "categories",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("slug", sa.String(length=60), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("archived_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_categories")),
        sa.UniqueConstraint("slug", name=op.f("uq_categories_slug")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "consent_texts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(length=80), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_texts")),
        sa.UniqueConstraint("purpose", "language", "sha256", name=op.f("uq_consent_texts_purpose_language_sha256")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "counters",
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counters")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "hosts",
        sa.Column("host", sa.String(length=300), nullable=False),
        sa.Column("free_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_hosts")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "mail_caps",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("key_hash", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("sent_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mail_caps")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_mail_caps_key", "mail_caps", ["key_hash", "sent_at"], unique=False)
    op.create_index(op.f("ix_mail_caps_sent_at"), "mail_caps", ["sent_at"], unique=False)
    op.create_table(
        "operators",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("login", sa.String(length=120), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("disabled_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operators")),
        sa.UniqueConstraint("login", name=op.f("uq_operators_login")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "publications",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("site_url", sa.Text(), nullable=False),
        sa.Column("postal_address", sa.Text(), nullable=False),
        sa.Column("contact_address", sa.String(length=254), nullable=False),
        sa.Column("privacy_url", sa.Text(), nullable=False),
        sa.Column("digest_from", sa.String(length=254), nullable=False),
        sa.Column("confirmation_from", sa.String(length=254), nullable=False),
        sa.Column("list_domain", sa.String(length=254), nullable=False),
        sa.Column("sender_id", sa.String(length=15), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("accent_light", sa.String(length=7), nullable=False),
        sa.Column("accent_dark", sa.String(length=7), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_publications_only_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_publications")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "relay_states",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("paused_until", UTCDateTime(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("last_error_at", UTCDateTime(), nullable=True),
        sa.Column("last_accepted_at", UTCDateTime(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_relay_states")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "signin_throttles",
        sa.Column("key_hash", sa.String(length=32), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("closed_until", UTCDateTime(), nullable=False),
        sa.Column("last_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key_hash", name=op.f("pk_signin_throttles")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_signin_throttles_last_at"), "signin_throttles", ["last_at"], unique=False)
    op.create_table(
        "subscribers",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column(
            "folded",
            sa.String(length=254).with_variant(sa.String(length=254, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("address_hash", sa.String(length=32), nullable=False),
        sa.Column("domain_hash", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("confirmed_at", UTCDateTime(), nullable=True),
        sa.Column("paused_at", UTCDateTime(), nullable=True),
        sa.Column("paused_until", UTCDateTime(), nullable=True),
        sa.Column("refused_at", UTCDateTime(), nullable=True),
        sa.Column("generated", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscribers")),
        sa.UniqueConstraint("folded", name=op.f("uq_subscribers_folded")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_subscribers_address_hash"), "subscribers", ["address_hash"], unique=False)
    op.create_index(
        "ix_subscribers_paused",
        "subscribers",
        ["paused_until"],
        unique=False,
        postgresql_where=sa.text("paused_until IS NOT NULL"),
        sqlite_where=sa.text("paused_until IS NOT NULL"),
    )
    op.create_index(
        "ix_subscribers_unconfirmed",
        "subscribers",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("confirmed_at IS NULL"),
        sqlite_where=sa.text("confirmed_at IS NULL"),
    )
    op.create_table(
        "suppressions",
        sa.Column("hash", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.String(length=24), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_suppressions")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "workers",
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("host", sa.String(length=80), nullable=False),
        sa.Column("started_at", UTCDateTime(), nullable=False),
        sa.Column("seen_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_workers")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_workers_seen_at"), "workers", ["seen_at"], unique=False)
    op.create_table(
        "changes",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("subscriber_id", BIG_ID, nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("cadence_id", sa.Integer(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("undone_at", UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["cadence_id"], ["cadences.id"], name=op.f("fk_changes_cadence_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscribers.id"], name=op.f("fk_changes_subscriber_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_changes")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_changes_subscriber_id"), "changes", ["subscriber_id"], unique=False)
    op.create_table(
        "confirmations",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("subscriber_id", BIG_ID, nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("wanted", sa.JSON(), nullable=False),
        sa.Column("form", sa.String(length=60), nullable=False),
        sa.Column("page", sa.Text(), nullable=False),
        sa.Column("ip", sa.String(length=45), nullable=False),
        sa.Column("user_agent", sa.String(length=300), nullable=False),
        sa.Column("confirmed_at", UTCDateTime(), nullable=True),
        sa.Column("planned_at", UTCDateTime(), nullable=True),
        sa.Column("refused_at", UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscribers.id"], name=op.f("fk_confirmations_subscriber_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_confirmations")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_confirmations_subscriber_id"), "confirmations", ["subscriber_id"], unique=False)
    op.create_index(
        "ix_confirmations_unplanned",
        "confirmations",
        ["id"],
        unique=False,
        postgresql_where=sa.text("planned_at IS NULL"),
        sqlite_where=sa.text("planned_at IS NULL"),
    )
    op.create_table(
        "consents",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("subscriber_id", BIG_ID, nullable=False),
        sa.Column("purpose", sa.String(length=80), nullable=False),
        sa.Column("act", sa.String(length=24), nullable=False),
        sa.Column("text_id", sa.Integer(), nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("form", sa.String(length=60), nullable=False),
        sa.Column("page", sa.Text(), nullable=False),
        sa.Column("ip", sa.String(length=45), nullable=False),
        sa.Column("user_agent", sa.String(length=300), nullable=False),
        sa.Column("confirmation_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscribers.id"], name=op.f("fk_consents_subscriber_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["text_id"], ["consent_texts.id"], name=op.f("fk_consents_text_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consents")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_consents_subscriber_id"), "consents", ["subscriber_id"], unique=False)
    op.create_table(
        "cuts",
        sa.Column("cadence_id", sa.Integer(), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("period", sa.String(length=32), nullable=False),
        sa.Column("since", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["cadence_id"], ["cadences.id"], name=op.f("fk_cuts_cadence_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("cadence_id", "timezone", name=op.f("pk_cuts")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "holds",
        sa.Column("cadence_id", sa.Integer(), nullable=False),
        sa.Column("period", sa.String(length=80), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=120), nullable=False),
        sa.ForeignKeyConstraint(["cadence_id"], ["cadences.id"], name=op.f("fk_holds_cadence_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("cadence_id", "period", name=op.f("pk_holds")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "operator_sessions",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("operator_id", sa.Integer(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("seen_at", UTCDateTime(), nullable=False),
        sa.Column("user_agent", sa.String(length=300), nullable=False),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.id"], name=op.f("fk_operator_sessions_operator_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_operator_sessions")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_operator_sessions_operator_id"), "operator_sessions", ["operator_id"], unique=False)
    op.create_index(op.f("ix_operator_sessions_seen_at"), "operator_sessions", ["seen_at"], unique=False)
    op.create_table(
        "runs",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("cadence_id", sa.Integer(), nullable=False),
        sa.Column("period", sa.String(length=80), nullable=False),
        sa.Column("wave", UTCDateTime(), nullable=False),
        sa.Column("triggered_by", sa.String(length=120), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("skip_reason", sa.String(length=24), nullable=True),
        sa.Column("after_number", sa.BigInteger(), nullable=False),
        sa.Column("cut_number", sa.BigInteger(), nullable=False),
        sa.Column("last_subscription_id", sa.BigInteger(), nullable=False),
        sa.Column("readers", sa.Integer(), nullable=False),
        sa.Column("articles", sa.Integer(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("finished_at", UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["cadence_id"], ["cadences.id"], name=op.f("fk_runs_cadence_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        sa.UniqueConstraint("cadence_id", "period", "wave", name=op.f("uq_runs_cadence_id_period_wave")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_runs_recent", "runs", ["created_at"], unique=False)
    op.create_index("ix_runs_state", "runs", ["state"], unique=False)
    op.create_table(
        "signup_requests",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("category_ids", sa.JSON(), nullable=False),
        sa.Column("cadence_id", sa.Integer(), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("consent_text_ids", sa.JSON(), nullable=False),
        sa.Column("form", sa.String(length=60), nullable=False),
        sa.Column("page", sa.Text(), nullable=False),
        sa.Column("ip", sa.String(length=45), nullable=False),
        sa.Column("user_agent", sa.String(length=300), nullable=False),
        sa.Column("processed_at", UTCDateTime(), nullable=True),
        sa.Column("outcome", sa.String(length=24), nullable=True),
        sa.ForeignKeyConstraint(["cadence_id"], ["cadences.id"], name=op.f("fk_signup_requests_cadence_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signup_requests")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_signup_requests_waiting",
        "signup_requests",
        ["id"],
        unique=False,
        postgresql_where=sa.text("processed_at IS NULL"),
        sqlite_where=sa.text("processed_at IS NULL"),
    )
    op.create_table(
        "sources",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("title", sa.String(length=300), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("site_url", sa.Text(), nullable=False),
        sa.Column("username", sa.String(length=200), nullable=False),
        sa.Column("sealed_password", sa.Text(), nullable=False),
        sa.Column("default_category_id", sa.Integer(), nullable=True),
        sa.Column("backlog", sa.String(length=24), nullable=False),
        sa.Column("host", sa.String(length=300), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("paused_at", UTCDateTime(), nullable=True),
        sa.Column("gone_at", UTCDateTime(), nullable=True),
        sa.Column("etag", sa.Text(), nullable=True),
        sa.Column("last_modified", sa.Text(), nullable=True),
        sa.Column("next_attempt_at", UTCDateTime(), nullable=False),
        sa.Column("last_attempt_at", UTCDateTime(), nullable=True),
        sa.Column("last_success_at", UTCDateTime(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("moved_url", sa.Text(), nullable=True),
        sa.Column("moved_seen", sa.Integer(), nullable=False),
        sa.Column("first_imported_at", UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["default_category_id"], ["categories.id"], name=op.f("fk_sources_default_category_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sources")),
        sa.UniqueConstraint("url", name=op.f("uq_sources_url")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_sources_next_attempt_at"), "sources", ["next_attempt_at"], unique=False)
    op.create_table(
        "subscriptions",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("subscriber_id", BIG_ID, nullable=False),
        sa.Column("category_id", sa.Integer(), nullable=False),
        sa.Column("cadence_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("activated_at", UTCDateTime(), nullable=True),
        sa.Column("ended_at", UTCDateTime(), nullable=True),
        sa.Column("ended_reason", sa.String(length=24), nullable=True),
        sa.Column("first_number", sa.BigInteger(), nullable=False),
        sa.Column("mark", sa.BigInteger(), nullable=True),
        sa.Column("begun_by", sa.BigInteger(), nullable=True),
        sa.Column("ended_by", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["cadence_id"], ["cadences.id"], name=op.f("fk_subscriptions_cadence_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["category_id"], ["categories.id"], name=op.f("fk_subscriptions_category_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscribers.id"], name=op.f("fk_subscriptions_subscriber_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriptions")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_subscriptions_marked",
        "subscriptions",
        ["cadence_id"],
        unique=False,
        postgresql_where=sa.text("mark IS NOT NULL"),
        sqlite_where=sa.text("mark IS NOT NULL"),
    )
    op.create_index(
        "ix_subscriptions_reading", "subscriptions", ["cadence_id", "category_id", "subscriber_id"], unique=False
    )
    op.create_index("ix_subscriptions_subscriber", "subscriptions", ["subscriber_id"], unique=False)
    op.create_index(
        "uq_subscriptions_current",
        "subscriptions",
        ["subscriber_id", "category_id"],
        unique=True,
        postgresql_where=sa.text("state <> 'ended'"),
        sqlite_where=sa.text("state <> 'ended'"),
    )
    op.create_table(
        "articles",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=True),
        sa.Column("identity", sa.String(length=64), nullable=False),
        sa.Column("canonical_hash", sa.String(length=64), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=300), nullable=False),
        sa.Column("image_url", sa.Text(), nullable=False),
        sa.Column("published_at", UTCDateTime(), nullable=True),
        sa.Column("first_seen_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("available_at", UTCDateTime(), nullable=True),
        sa.Column("held_at", UTCDateTime(), nullable=True),
        sa.Column("withdrawn_at", UTCDateTime(), nullable=True),
        sa.Column("pinned_at", UTCDateTime(), nullable=True),
        sa.Column("digested_at", UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_articles_source_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_articles")),
        sa.UniqueConstraint("number", name=op.f("uq_articles_number")),
        sa.UniqueConstraint("source_id", "identity", name=op.f("uq_articles_source_id_identity")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_articles_canonical_hash"), "articles", ["canonical_hash"], unique=False)
    op.create_index(
        "ix_articles_waiting",
        "articles",
        ["available_at"],
        unique=False,
        postgresql_where=sa.text("number IS NULL AND available_at IS NOT NULL"),
        sqlite_where=sa.text("number IS NULL AND available_at IS NOT NULL"),
    )
    op.create_table(
        "mailings",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("run_id", BIG_ID, nullable=True),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("stamp", sa.String(length=16), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("give_up_at", UTCDateTime(), nullable=False),
        sa.Column("started_at", UTCDateTime(), nullable=True),
        sa.Column("finished_at", UTCDateTime(), nullable=True),
        sa.Column("planned", sa.Integer(), nullable=False),
        sa.Column("sending", sa.Integer(), nullable=False),
        sa.Column("accepted", sa.Integer(), nullable=False),
        sa.Column("deferred", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.Column("unknown", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_mailings_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mailings")),
        sa.UniqueConstraint("run_id", name=op.f("uq_mailings_run_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_mailings_state", "mailings", ["state"], unique=False)
    op.create_table(
        "run_exclusions",
        sa.Column("run_id", BIG_ID, nullable=False),
        sa.Column("subscriber_id", BIG_ID, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_exclusions_run_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscribers.id"], name=op.f("fk_run_exclusions_subscriber_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "subscriber_id", "number", name=op.f("pk_run_exclusions")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_run_exclusions_subscriber_id"), "run_exclusions", ["subscriber_id"], unique=False)
    op.create_table(
        "run_marks",
        sa.Column("run_id", BIG_ID, nullable=False),
        sa.Column("subscription_id", BIG_ID, nullable=False),
        sa.Column("mark", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_marks_run_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscriptions.id"], name=op.f("fk_run_marks_subscription_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "subscription_id", name=op.f("pk_run_marks")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_run_marks_subscription_id"), "run_marks", ["subscription_id"], unique=False)
    op.create_table(
        "run_zones",
        sa.Column("run_id", BIG_ID, nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("after_number", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_zones_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "timezone", name=op.f("pk_run_zones")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "terms",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("folded", sa.String(length=200), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("category_id", sa.Integer(), nullable=True),
        sa.Column("ignored_at", UTCDateTime(), nullable=True),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("last_seen_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["category_id"], ["categories.id"], name=op.f("fk_terms_category_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_terms_source_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_terms")),
        sa.UniqueConstraint("source_id", "folded", name=op.f("uq_terms_source_id_folded")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_terms_category_id"), "terms", ["category_id"], unique=False)
    op.create_table(
        "article_categories",
        sa.Column("article_id", BIG_ID, nullable=False),
        sa.Column("category_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["article_id"], ["articles.id"], name=op.f("fk_article_categories_article_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["category_id"], ["categories.id"], name=op.f("fk_article_categories_category_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("article_id", "category_id", name=op.f("pk_article_categories")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_article_categories_category_id"), "article_categories", ["category_id"], unique=False)
    op.create_table(
        "article_terms",
        sa.Column("article_id", BIG_ID, nullable=False),
        sa.Column("term_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["article_id"], ["articles.id"], name=op.f("fk_article_terms_article_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["term_id"], ["terms.id"], name=op.f("fk_article_terms_term_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("article_id", "term_id", name=op.f("pk_article_terms")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_article_terms_term_id"), "article_terms", ["term_id"], unique=False)
    op.create_table(
        "chunks",
        sa.Column("id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("mailing_id", BIG_ID, nullable=False),
        sa.Column("bulk", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("not_before", UTCDateTime(), nullable=False),
        sa.Column("leased_until", UTCDateTime(), nullable=True),
        sa.Column("owner", sa.String(length=80), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["mailing_id"], ["mailings.id"], name=op.f("fk_chunks_mailing_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chunks")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_chunks_mailing_id"), "chunks", ["mailing_id"], unique=False)
    op.create_index(
        "ix_chunks_open",
        "chunks",
        ["state", "bulk", "not_before"],
        unique=False,
        postgresql_where=sa.text("state <> 'done'"),
        sqlite_where=sa.text("state <> 'done'"),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("mailing_id", BIG_ID, nullable=False),
        sa.Column("chunk_id", sa.BigInteger(), nullable=False),
        sa.Column("subscriber_id", BIG_ID, nullable=True),
        sa.Column("confirmation_id", BIG_ID, nullable=True),
        sa.Column("after_number", sa.BigInteger(), nullable=False),
        sa.Column("copy_address", sa.String(length=254), nullable=True),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("reason", sa.String(length=24), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("offered_at", UTCDateTime(), nullable=True),
        sa.Column("settled_at", UTCDateTime(), nullable=True),
        sa.Column("retry_at", UTCDateTime(), nullable=True),
        sa.Column("reply_code", sa.Integer(), nullable=True),
        sa.Column("reply_text", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["confirmation_id"], ["confirmations.id"], name=op.f("fk_deliveries_confirmation_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["mailing_id"], ["mailings.id"], name=op.f("fk_deliveries_mailing_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscribers.id"], name=op.f("fk_deliveries_subscriber_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("mailing_id", "subscriber_id", name=op.f("uq_deliveries_mailing_id_subscriber_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_deliveries_chunk", "deliveries", ["chunk_id", "id"], unique=False)
    op.create_index(
        "ix_deliveries_confirmation",
        "deliveries",
        ["confirmation_id"],
        unique=False,
        postgresql_where=sa.text("confirmation_id IS NOT NULL"),
        sqlite_where=sa.text("confirmation_id IS NOT NULL"),
    )
    op.create_index(
        "ix_deliveries_deferred",
        "deliveries",
        ["retry_at"],
        unique=False,
        postgresql_where=sa.text("state = 'deferred'"),
        sqlite_where=sa.text("state = 'deferred'"),
    )
    op.create_index("ix_deliveries_subscriber", "deliveries", ["subscriber_id"], unique=False)
    op.create_index(
        "ix_deliveries_unknown",
        "deliveries",
        ["mailing_id"],
        unique=False,
        postgresql_where=sa.text("state = 'unknown' AND settled_at IS NULL"),
        sqlite_where=sa.text("state = 'unknown' AND settled_at IS NULL"),
    )
    op.create_table(
        "left_out",
        sa.Column("cadence_id", sa.Integer(), nullable=False),
        sa.Column("article_id", BIG_ID, nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["article_id"], ["articles.id"], name=op.f("fk_left_out_article_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["cadence_id"], ["cadences.id"], name=op.f("fk_left_out_cadence_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("cadence_id", "article_id", name=op.f("pk_left_out")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "run_articles",
        sa.Column("run_id", BIG_ID, nullable=False),
        sa.Column("category_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("article_id", BIG_ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["article_id"], ["articles.id"], name=op.f("fk_run_articles_article_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["category_id"], ["categories.id"], name=op.f("fk_run_articles_category_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_articles_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "category_id", "number", name=op.f("pk_run_articles")),
        sqlite_autoincrement=True,
    )

    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION forbid_consent_update() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{NO_UPDATE}'; END $$"
        )
        op.execute(
            "CREATE TRIGGER consents_append_only BEFORE UPDATE ON consents "
            "FOR EACH ROW EXECUTE FUNCTION forbid_consent_update()"
        )
    else:
        op.execute(
            "CREATE TRIGGER consents_append_only BEFORE UPDATE ON consents "
            f"BEGIN SELECT RAISE(ABORT, '{NO_UPDATE}'); END"
        )
    op.execute("INSERT INTO counters (name, value) VALUES ('article', 0)")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER consents_append_only ON consents")
        op.execute("DROP FUNCTION forbid_consent_update()")
    else:
        op.execute("DROP TRIGGER consents_append_only")
    op.drop_table("run_articles")
    op.drop_table("left_out")
    op.drop_index(
        "ix_deliveries_unknown",
        table_name="deliveries",
        postgresql_where=sa.text("state = 'unknown' AND settled_at IS NULL"),
        sqlite_where=sa.text("state = 'unknown' AND settled_at IS NULL"),
    )
    op.drop_index("ix_deliveries_subscriber", table_name="deliveries")
    op.drop_index(
        "ix_deliveries_deferred",
        table_name="deliveries",
        postgresql_where=sa.text("state = 'deferred'"),
        sqlite_where=sa.text("state = 'deferred'"),
    )
    op.drop_index(
        "ix_deliveries_confirmation",
        table_name="deliveries",
        postgresql_where=sa.text("confirmation_id IS NOT NULL"),
        sqlite_where=sa.text("confirmation_id IS NOT NULL"),
    )
    op.drop_index("ix_deliveries_chunk", table_name="deliveries")
    op.drop_table("deliveries")
    op.drop_index(
        "ix_chunks_open",
        table_name="chunks",
        postgresql_where=sa.text("state <> 'done'"),
        sqlite_where=sa.text("state <> 'done'"),
    )
    op.drop_index(op.f("ix_chunks_mailing_id"), table_name="chunks")
    op.drop_table("chunks")
    op.drop_index(op.f("ix_article_terms_term_id"), table_name="article_terms")
    op.drop_table("article_terms")
    op.drop_index(op.f("ix_article_categories_category_id"), table_name="article_categories")
    op.drop_table("article_categories")
    op.drop_index(op.f("ix_terms_category_id"), table_name="terms")
    op.drop_table("terms")
    op.drop_table("run_zones")
    op.drop_index(op.f("ix_run_marks_subscription_id"), table_name="run_marks")
    op.drop_table("run_marks")
    op.drop_index(op.f("ix_run_exclusions_subscriber_id"), table_name="run_exclusions")
    op.drop_table("run_exclusions")
    op.drop_index("ix_mailings_state", table_name="mailings")
    op.drop_table("mailings")
    op.drop_index(
        "ix_articles_waiting",
        table_name="articles",
        postgresql_where=sa.text("number IS NULL AND available_at IS NOT NULL"),
        sqlite_where=sa.text("number IS NULL AND available_at IS NOT NULL"),
    )
    op.drop_index(op.f("ix_articles_canonical_hash"), table_name="articles")
    op.drop_table("articles")
    op.drop_index(
        "uq_subscriptions_current",
        table_name="subscriptions",
        postgresql_where=sa.text("state <> 'ended'"),
        sqlite_where=sa.text("state <> 'ended'"),
    )
    op.drop_index("ix_subscriptions_subscriber", table_name="subscriptions")
    op.drop_index("ix_subscriptions_reading", table_name="subscriptions")
    op.drop_index(
        "ix_subscriptions_marked",
        table_name="subscriptions",
        postgresql_where=sa.text("mark IS NOT NULL"),
        sqlite_where=sa.text("mark IS NOT NULL"),
    )
    op.drop_table("subscriptions")
    op.drop_index(op.f("ix_sources_next_attempt_at"), table_name="sources")
    op.drop_table("sources")
    op.drop_index(
        "ix_signup_requests_waiting",
        table_name="signup_requests",
        postgresql_where=sa.text("processed_at IS NULL"),
        sqlite_where=sa.text("processed_at IS NULL"),
    )
    op.drop_table("signup_requests")
    op.drop_index("ix_runs_state", table_name="runs")
    op.drop_index("ix_runs_recent", table_name="runs")
    op.drop_table("runs")
    op.drop_index(op.f("ix_operator_sessions_seen_at"), table_name="operator_sessions")
    op.drop_index(op.f("ix_operator_sessions_operator_id"), table_name="operator_sessions")
    op.drop_table("operator_sessions")
    op.drop_table("holds")
    op.drop_table("cuts")
    op.drop_index(op.f("ix_consents_subscriber_id"), table_name="consents")
    op.drop_table("consents")
    op.drop_index(
        "ix_confirmations_unplanned",
        table_name="confirmations",
        postgresql_where=sa.text("planned_at IS NULL"),
        sqlite_where=sa.text("planned_at IS NULL"),
    )
    op.drop_index(op.f("ix_confirmations_subscriber_id"), table_name="confirmations")
    op.drop_table("confirmations")
    op.drop_index(op.f("ix_changes_subscriber_id"), table_name="changes")
    op.drop_table("changes")
    op.drop_index(op.f("ix_workers_seen_at"), table_name="workers")
    op.drop_table("workers")
    op.drop_table("suppressions")
    op.drop_index(
        "ix_subscribers_unconfirmed",
        table_name="subscribers",
        postgresql_where=sa.text("confirmed_at IS NULL"),
        sqlite_where=sa.text("confirmed_at IS NULL"),
    )
    op.drop_index(
        "ix_subscribers_paused",
        table_name="subscribers",
        postgresql_where=sa.text("paused_until IS NOT NULL"),
        sqlite_where=sa.text("paused_until IS NOT NULL"),
    )
    op.drop_index(op.f("ix_subscribers_address_hash"), table_name="subscribers")
    op.drop_table("subscribers")
    op.drop_index(op.f("ix_signin_throttles_last_at"), table_name="signin_throttles")
    op.drop_table("signin_throttles")
    op.drop_table("relay_states")
    op.drop_table("publications")
    op.drop_table("operators")
    op.drop_index(op.f("ix_mail_caps_sent_at"), table_name="mail_caps")
    op.drop_index("ix_mail_caps_key", table_name="mail_caps")
    op.drop_table("mail_caps")
    op.drop_table("hosts")
    op.drop_table("counters")
    op.drop_table("consent_texts")
    op.drop_table("categories")
    op.drop_table("cadences")
    op.drop_table("alarms")
    op.drop_table("affiliates")
