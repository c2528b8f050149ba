"""Several relays, limits and speeds, signing keys; what is unknown or deferred is found without an index on the state.

Revision: 0002
"""

import sqlalchemy as sa
from alembic import op

from newsletter.foundation.db import UTCDateTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "dkim_keys",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("selector", sa.String(length=63), nullable=False),
        sa.Column("algorithm", sa.String(length=24), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("signing_from", UTCDateTime(), nullable=True),
        sa.Column("retired_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dkim_keys")),
        sa.UniqueConstraint("domain", "selector", name=op.f("uq_dkim_keys_domain_selector")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("dkim_keys", schema=None) as batch_op:
        batch_op.create_index(
            "ix_dkim_keys_signing",
            ["domain", "algorithm"],
            unique=True,
            postgresql_where=sa.text("signing_from IS NOT NULL AND retired_at IS NULL"),
            sqlite_where=sa.text("signing_from IS NOT NULL AND retired_at IS NULL"),
        )

    op.create_table(
        "host_limits",
        sa.Column("host_group", sa.String(length=255), nullable=False),
        sa.Column("connections", sa.Integer(), nullable=True),
        sa.Column("per_second", sa.Integer(), nullable=True),
        sa.Column("per_minute", sa.Integer(), nullable=True),
        sa.Column("per_hour", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("host_group", name=op.f("pk_host_limits")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "mail_hosts",
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("host_group", sa.String(length=255), nullable=False),
        sa.Column("looked_up_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("domain", name=op.f("pk_mail_hosts")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "meters",
        sa.Column("key", sa.String(length=300), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_meters")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "relays",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("tls", sa.String(length=24), nullable=False),
        sa.Column("username", sa.String(length=255), nullable=False),
        sa.Column("sealed_password", sa.Text(), nullable=False),
        sa.Column("hello", sa.String(length=255), nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.Column("connections", sa.Integer(), nullable=False),
        sa.Column("per_second", sa.Integer(), nullable=True),
        sa.Column("per_minute", sa.Integer(), nullable=True),
        sa.Column("per_hour", sa.Integer(), nullable=True),
        sa.Column("senders", sa.JSON(), nullable=False),
        sa.Column("streams", sa.JSON(), nullable=False),
        sa.Column("disabled_at", UTCDateTime(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_relays")),
        sa.UniqueConstraint("name", name=op.f("uq_relays_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "slowdowns",
        sa.Column("key", sa.String(length=300), nullable=False),
        sa.Column("share", sa.Double(), nullable=False),
        sa.Column("pace", sa.Double(), nullable=True),
        sa.Column("stopped_until", UTCDateTime(), nullable=True),
        sa.Column("because", sa.Text(), nullable=False),
        sa.Column("changed_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_slowdowns")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.add_column(sa.Column("unknown_at", UTCDateTime(), nullable=True))
        batch_op.add_column(sa.Column("failure", sa.String(length=24), nullable=True))
        batch_op.add_column(sa.Column("relay_id", sa.Integer(), nullable=True))
        batch_op.drop_index(
            batch_op.f("ix_deliveries_deferred"),
            sqlite_where=sa.text("state = 'deferred'"),
            postgresql_where=sa.text("state = 'deferred'"),
        )
        batch_op.drop_index(batch_op.f("ix_deliveries_subscriber"))
        batch_op.drop_index(
            batch_op.f("ix_deliveries_unknown"),
            sqlite_where=sa.text("state = 'unknown' AND settled_at IS NULL"),
            postgresql_where=sa.text("state = 'unknown' AND settled_at IS NULL"),
        )
        batch_op.create_index(
            "ix_deliveries_retry_at",
            ["retry_at"],
            unique=False,
            postgresql_where=sa.text("retry_at IS NOT NULL"),
            sqlite_where=sa.text("retry_at IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_deliveries_unknown_at",
            ["mailing_id"],
            unique=False,
            postgresql_where=sa.text("unknown_at IS NOT NULL"),
            sqlite_where=sa.text("unknown_at IS NOT NULL"),
        )
        batch_op.drop_constraint(batch_op.f("fk_deliveries_subscriber_id"), type_="foreignkey")
        batch_op.drop_constraint(batch_op.f("fk_deliveries_mailing_id"), type_="foreignkey")
        batch_op.drop_constraint(batch_op.f("fk_deliveries_confirmation_id"), type_="foreignkey")

    with op.batch_alter_table("mailings", schema=None) as batch_op:
        batch_op.add_column(sa.Column("not_before", UTCDateTime(), nullable=True))
        batch_op.add_column(sa.Column("per_hour", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("paused_because", sa.Text(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("rendered_in_full", sa.Integer(), server_default="0", nullable=False))

    with op.batch_alter_table("relay_states", schema=None) as batch_op:
        batch_op.add_column(sa.Column("held_at", UTCDateTime(), nullable=True))
        batch_op.add_column(sa.Column("held_because", sa.Text(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("refusals", sa.Integer(), server_default="0", nullable=False))

    op.execute("UPDATE deliveries SET unknown_at = offered_at WHERE state = 'unknown' AND settled_at IS NULL")
    op.execute("UPDATE relay_states SET id = 0")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE deliveries SET (fillfactor = 50)")


def downgrade() -> None:
    for column, table in (("subscriber_id", "subscribers"), ("confirmation_id", "confirmations")):
        gone = f"{column} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {table} WHERE {table}.id = deliveries.{column})"
        op.execute(f"UPDATE deliveries SET {column} = NULL WHERE {gone}")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE deliveries RESET (fillfactor)")
    with op.batch_alter_table("relay_states", schema=None) as batch_op:
        batch_op.drop_column("refusals")
        batch_op.drop_column("held_because")
        batch_op.drop_column("held_at")

    with op.batch_alter_table("mailings", schema=None) as batch_op:
        batch_op.drop_column("rendered_in_full")
        batch_op.drop_column("paused_because")
        batch_op.drop_column("per_hour")
        batch_op.drop_column("not_before")

    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.create_foreign_key(
            batch_op.f("fk_deliveries_confirmation_id"),
            "confirmations",
            ["confirmation_id"],
            ["id"],
            ondelete="SET NULL",
        )
        batch_op.create_foreign_key(
            batch_op.f("fk_deliveries_mailing_id"), "mailings", ["mailing_id"], ["id"], ondelete="CASCADE"
        )
        batch_op.create_foreign_key(
            batch_op.f("fk_deliveries_subscriber_id"), "subscribers", ["subscriber_id"], ["id"], ondelete="SET NULL"
        )
        batch_op.drop_index(
            "ix_deliveries_unknown_at",
            postgresql_where=sa.text("unknown_at IS NOT NULL"),
            sqlite_where=sa.text("unknown_at IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_deliveries_retry_at",
            postgresql_where=sa.text("retry_at IS NOT NULL"),
            sqlite_where=sa.text("retry_at IS NOT NULL"),
        )
        batch_op.create_index(
            batch_op.f("ix_deliveries_unknown"),
            ["mailing_id"],
            unique=False,
            sqlite_where=sa.text("state = 'unknown' AND settled_at IS NULL"),
            postgresql_where=sa.text("state = 'unknown' AND settled_at IS NULL"),
        )
        batch_op.create_index(batch_op.f("ix_deliveries_subscriber"), ["subscriber_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_deliveries_deferred"),
            ["retry_at"],
            unique=False,
            sqlite_where=sa.text("state = 'deferred'"),
            postgresql_where=sa.text("state = 'deferred'"),
        )
        batch_op.drop_column("relay_id")
        batch_op.drop_column("failure")
        batch_op.drop_column("unknown_at")

    op.drop_table("slowdowns")
    op.drop_table("relays")
    op.drop_table("meters")
    op.drop_table("mail_hosts")
    op.drop_table("host_limits")
    with op.batch_alter_table("dkim_keys", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_dkim_keys_signing",
            postgresql_where=sa.text("signing_from IS NOT NULL AND retired_at IS NULL"),
            sqlite_where=sa.text("signing_from IS NOT NULL AND retired_at IS NULL"),
        )

    op.drop_table("dkim_keys")
