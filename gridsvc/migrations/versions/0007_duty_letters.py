"""Signed duty letters of shop-front zones.

Revision: 0007, after 0006.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "duty_letter",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("layer", sa.Text(), nullable=False),
        sa.Column("area_code", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False, comment="who answers for it"),
        sa.Column(
            "signatory", sa.Text(), nullable=True, comment="the person who signed for the unit"
        ),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("document_sha256", sa.LargeBinary(), nullable=False),
        sa.Column(
            "self_governing_group",
            sa.Text(),
            nullable=True,
            comment="code of the group along the street",
        ),
        sa.Column(
            "stored_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint(
            "octet_length(document_sha256) = 32", name=op.f("duty_letter_sha256_check")
        ),
        sa.CheckConstraint("valid_from < valid_to", name=op.f("duty_letter_period_check")),
        sa.ForeignKeyConstraint(
            ["layer"], ["gridsvc.layer.code"], name=op.f("duty_letter_layer_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["signatory"], ["gridsvc.party.code"], name=op.f("duty_letter_signatory_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["unit"], ["gridsvc.party.code"], name=op.f("duty_letter_unit_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("duty_letter_pkey")),
        sa.UniqueConstraint(
            "layer",
            "area_code",
            "document_sha256",
            "valid_from",
            name=op.f("duty_letter_layer_area_code_document_sha256_valid_from_key"),
        ),
        schema="gridsvc",
    )
    op.create_index(
        "duty_letter_zone_idx",
        "duty_letter",
        ["layer", "area_code", "valid_from"],
        unique=False,
        schema="gridsvc",
    )
    op.execute("GRANT SELECT ON gridsvc.duty_letter TO gridsvc_service")


def downgrade() -> None:
    op.drop_index("duty_letter_zone_idx", table_name="duty_letter", schema="gridsvc")
    op.drop_table("duty_letter", schema="gridsvc")
