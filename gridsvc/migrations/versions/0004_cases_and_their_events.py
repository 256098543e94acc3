"""Cases, their events and their reports.

Revision: 0004, after 0003.
"""

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


GRANTS = """
GRANT SELECT, INSERT, UPDATE ON gridsvc.case, gridsvc.case_report TO gridsvc_service;
GRANT SELECT, INSERT ON gridsvc.case_event TO gridsvc_service;
"""

# Loading a scheme gives the column its SRID; where one is loaded already, this does.
STORAGE_CRS = """
DO $$
DECLARE
    loaded integer := (SELECT srid FROM gridsvc.scheme ORDER BY id DESC LIMIT 1);
BEGIN
    IF loaded IS NOT NULL THEN
        EXECUTE format(
            'ALTER TABLE gridsvc.case ALTER COLUMN point TYPE geometry(Point, %s)', loaded);
    END IF;
END
$$
"""


def upgrade() -> None:
    op.create_geospatial_table(
        "case",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column(
            "point",
            Geometry(
                geometry_type="POINT",
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
            ),
            nullable=True,
            comment="of the first report; storage CRS",
        ),
        sa.Column(
            "areas",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
            comment="code by layer, as the first report was answered",
        ),
        sa.Column("responsible", sa.Text(), nullable=True, comment="party code, likewise"),
        sa.Column(
            "opened_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when its first report came in",
        ),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("state_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "holder", sa.Text(), nullable=True, comment="code of the party that has it to act on"
        ),
        sa.Column(
            "step",
            sa.SmallInteger(),
            server_default="0",
            nullable=False,
            comment="of the escalation chain; 0 before any dispatch",
        ),
        sa.Column(
            "step_due_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when it climbs by itself; null on the last step",
        ),
        sa.Column("tier", sa.Text(), nullable=True, comment="code of a tier of the scheme"),
        sa.Column(
            "due_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="by when it should be closed; null without such a limit",
        ),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "report_count",
            sa.Integer(),
            server_default="1",
            nullable=False,
            comment="reports in it now",
        ),
        sa.Column("return_count", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column(
            "failed_verification_count", sa.SmallInteger(), server_default="0", nullable=False
        ),
        sa.Column("merged_into", sa.BigInteger(), nullable=True),
        sa.Column("last_event", sa.Integer(), nullable=False, comment="number of the newest event"),
        sa.CheckConstraint(
            "(state = 'closed') = (closed_at IS NOT NULL)", name=op.f("case_closed_check")
        ),
        sa.CheckConstraint(
            "(state = 'merged') = (merged_into IS NOT NULL)", name=op.f("case_merged_check")
        ),
        sa.CheckConstraint(
            "state IN ('filed', 'dispatched', 'returned', 'handled', 'verified', 'closed',"
            " 'suspended', 'not_ours', 'merged')",
            name=op.f("case_state_check"),
        ),
        sa.CheckConstraint("step >= 0", name=op.f("case_step_check")),
        sa.ForeignKeyConstraint(
            ["merged_into"], ["gridsvc.case.id"], name=op.f("case_merged_into_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("case_pkey")),
        schema="gridsvc",
    )
    op.create_index(
        op.f("case_closed_at_idx"), "case", ["closed_at"], unique=False, schema="gridsvc"
    )
    op.create_index(op.f("case_due_at_idx"), "case", ["due_at"], unique=False, schema="gridsvc")
    op.create_geospatial_index(
        "case_open_point_idx",
        "case",
        ["point"],
        unique=False,
        schema="gridsvc",
        postgresql_using="gist",
        postgresql_where=sa.text("closed_at IS NULL AND merged_into IS NULL"),
    )
    op.create_index(
        op.f("case_opened_at_idx"), "case", ["opened_at"], unique=False, schema="gridsvc"
    )
    op.create_index(
        "case_state_idx", "case", ["state", "opened_at"], unique=False, schema="gridsvc"
    )
    op.create_index(
        "case_step_due_at_idx",
        "case",
        ["step_due_at"],
        unique=False,
        schema="gridsvc",
        postgresql_where=sa.text("state = 'dispatched'"),
    )
    op.create_table(
        "case_event",
        sa.Column("case_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "actor",
            sa.Text(),
            nullable=False,
            comment="who told it: a caller of the API, a file's source, or 'gridsvc' itself",
        ),
        sa.Column(
            "party",
            sa.Text(),
            nullable=True,
            comment="code of the party that did it, or had the case",
        ),
        sa.Column("to_party", sa.Text(), nullable=True, comment="code of the party that gets it"),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column(
            "details", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False
        ),
        sa.Column("state", sa.Text(), nullable=False, comment="of the case from then on"),
        sa.CheckConstraint(
            "kind IN ('filed', 'joined', 'parted', 'merged', 'dispatched', 'returned', 'handled',"
            " 'no_effect', 'escalated', 'verified', 'failed_verification', 'closed', 'reopened',"
            " 'suspended', 'resumed', 'not_ours', 'declared_hard')",
            name=op.f("case_event_kind_check"),
        ),
        sa.CheckConstraint(
            "state IN ('filed', 'dispatched', 'returned', 'handled', 'verified', 'closed',"
            " 'suspended', 'not_ours', 'merged')",
            name=op.f("case_event_state_check"),
        ),
        sa.ForeignKeyConstraint(
            ["case_id"], ["gridsvc.case.id"], name=op.f("case_event_case_id_fkey")
        ),
        sa.PrimaryKeyConstraint("case_id", "number", name=op.f("case_event_pkey")),
        schema="gridsvc",
    )
    op.create_table(
        "case_report",
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.BigInteger(), nullable=False),
        sa.Column("is_first", sa.Boolean(), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "distance_m",
            sa.Double(),
            nullable=True,
            comment="from the first report; null where a point is missing",
        ),
        sa.ForeignKeyConstraint(
            ["case_id"], ["gridsvc.case.id"], name=op.f("case_report_case_id_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["report_id"], ["gridsvc.report.id"], name=op.f("case_report_report_id_fkey")
        ),
        sa.PrimaryKeyConstraint("report_id", name=op.f("case_report_pkey")),
        schema="gridsvc",
    )
    op.create_index(
        "case_report_case_id_idx", "case_report", ["case_id"], unique=False, schema="gridsvc"
    )
    op.create_index(
        "case_report_first_idx",
        "case_report",
        ["case_id"],
        unique=True,
        schema="gridsvc",
        postgresql_where=sa.text("is_first"),
    )
    op.execute(STORAGE_CRS)
    op.execute(GRANTS)


def downgrade() -> None:
    op.drop_index(
        "case_report_first_idx",
        table_name="case_report",
        schema="gridsvc",
        postgresql_where=sa.text("is_first"),
    )
    op.drop_index("case_report_case_id_idx", table_name="case_report", schema="gridsvc")
    op.drop_table("case_report", schema="gridsvc")
    op.drop_table("case_event", schema="gridsvc")
    op.drop_index(
        "case_step_due_at_idx",
        table_name="case",
        schema="gridsvc",
        postgresql_where=sa.text("state = 'dispatched'"),
    )
    op.drop_index("case_state_idx", table_name="case", schema="gridsvc")
    op.drop_index(op.f("case_opened_at_idx"), table_name="case", schema="gridsvc")
    op.drop_geospatial_index(
        "case_open_point_idx",
        table_name="case",
        schema="gridsvc",
        postgresql_using="gist",
        postgresql_where=sa.text("closed_at IS NULL AND merged_into IS NULL"),
        column_name="point",
    )
    op.drop_index(op.f("case_due_at_idx"), table_name="case", schema="gridsvc")
    op.drop_index(op.f("case_closed_at_idx"), table_name="case", schema="gridsvc")
    op.drop_geospatial_table("case", schema="gridsvc")
