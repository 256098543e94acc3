"""Absences, and who stands in.

Revision: 0005, after 0004.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

GRANTS = """
GRANT SELECT ON gridsvc.absence, gridsvc.absence_edit, gridsvc.stand_in_rule TO gridsvc_service
"""

# Functions that give other columns, or take other arguments, cannot be replaced in place.
OUTDATED = """
DROP FUNCTION IF EXISTS gridsvc.decision, gridsvc.holder_json, gridsvc.alternatives
"""


def upgrade() -> None:
    op.create_table(
        "stand_in_rule",
        sa.Column("scheme_id", sa.Integer(), nullable=False),
        sa.Column("duty", sa.Text(), nullable=False),
        sa.Column("position", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.CheckConstraint("by IN ('assistant', 'neighbour')", name=op.f("stand_in_rule_by_check")),
        sa.CheckConstraint(
            "duty IN ('responsibility', 'management', 'enforcement', 'supervision')",
            name=op.f("stand_in_rule_duty_check"),
        ),
        sa.ForeignKeyConstraint(
            ["scheme_id"], ["gridsvc.scheme.id"], name=op.f("stand_in_rule_scheme_id_fkey")
        ),
        sa.PrimaryKeyConstraint("scheme_id", "duty", "position", name=op.f("stand_in_rule_pkey")),
        schema="gridsvc",
    )
    op.create_table(
        "absence",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("party_code", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("rev_from", sa.Integer(), nullable=False),
        sa.Column("rev_to", sa.Integer(), nullable=True),
        postgresql.ExcludeConstraint(
            (sa.column("party_code"), "="),
            (sa.column("valid_from"), "="),
            (sa.text("int4range(rev_from, rev_to)"), "&&"),
            using="gist",
            name="absence_one_version_excl",
        ),
        sa.CheckConstraint("rev_from < rev_to", name=op.f("absence_revisions_check")),
        sa.CheckConstraint("valid_from < valid_to", name=op.f("absence_period_check")),
        sa.ForeignKeyConstraint(
            ["party_code"], ["gridsvc.party.code"], name=op.f("absence_party_code_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["rev_from"], ["gridsvc.revision.number"], name=op.f("absence_rev_from_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["rev_to"], ["gridsvc.revision.number"], name=op.f("absence_rev_to_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("absence_pkey")),
        schema="gridsvc",
    )
    op.create_index(
        "absence_party_idx",
        "absence",
        ["party_code", "valid_from"],
        unique=False,
        schema="gridsvc",
    )
    op.create_table(
        "absence_edit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("change_set_id", sa.Integer(), nullable=False),
        sa.Column("replaces", sa.BigInteger(), nullable=True),
        sa.Column("party_code", sa.Text(), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(party_code IS NULL) = (valid_from IS NULL)", name=op.f("absence_edit_begin_check")
        ),
        sa.CheckConstraint(
            "num_nonnulls(replaces, party_code) > 0", name=op.f("absence_edit_purpose_check")
        ),
        sa.CheckConstraint("valid_from < valid_to", name=op.f("absence_edit_period_check")),
        sa.ForeignKeyConstraint(
            ["change_set_id"],
            ["gridsvc.change_set.id"],
            name=op.f("absence_edit_change_set_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["replaces"], ["gridsvc.absence.id"], name=op.f("absence_edit_replaces_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("absence_edit_pkey")),
        schema="gridsvc",
    )
    op.create_index(
        op.f("absence_edit_change_set_id_idx"),
        "absence_edit",
        ["change_set_id"],
        unique=False,
        schema="gridsvc",
    )
    op.create_index(
        op.f("absence_edit_replaces_idx"),
        "absence_edit",
        ["replaces"],
        unique=False,
        schema="gridsvc",
    )
    op.create_index(
        "area_boundary_idx",
        "area",
        ["layer", "boundary"],
        unique=False,
        schema="gridsvc",
        postgresql_using="gist",
    )
    op.execute(GRANTS)
    op.execute(OUTDATED)


def downgrade() -> None:
    op.execute("DROP TYPE IF EXISTS gridsvc.standing_in CASCADE")
    op.drop_index("area_boundary_idx", table_name="area", schema="gridsvc", postgresql_using="gist")
    op.drop_table("absence_edit", schema="gridsvc")
    op.drop_index("absence_party_idx", table_name="absence", schema="gridsvc")
    op.drop_table("absence", schema="gridsvc")
    op.drop_table("stand_in_rule", schema="gridsvc")
