"""Reports and their answers.

Revision: 0003, after 0002.
"""

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


GRANTS = """
GRANT SELECT, INSERT ON gridsvc.report, gridsvc.report_answer TO gridsvc_service;
"""

# Loading a scheme gives the column its SRID; where one is loaded already, this does.
STORAGE_CRS = """
DO $$
DECLARE
    loaded integer := (SELECT srid FROM gridsvc.scheme ORDER BY id DESC LIMIT 1);
BEGIN
    IF loaded IS NOT NULL THEN
        EXECUTE format(
            'ALTER TABLE gridsvc.report ALTER COLUMN point TYPE geometry(Point, %s)', loaded);
    END IF;
END
$$
"""


def upgrade() -> None:
    op.create_geospatial_table(
        "report",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column(
            "body_hash",
            sa.LargeBinary(),
            nullable=True,
            comment="SHA-256 of what was sent; null from files",
        ),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("x", sa.Double(), nullable=True, comment="as given, in crs"),
        sa.Column("y", sa.Double(), nullable=True),
        sa.Column("crs", sa.Text(), nullable=True, comment="as given; null is the scheme's first"),
        sa.Column("lon", sa.Double(), nullable=True, comment="EPSG:4326, degrees"),
        sa.Column("lat", sa.Double(), nullable=True),
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
            comment="storage CRS, not rounded",
        ),
        sa.Column("accuracy_m", sa.Double(), nullable=True),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("photo_urls", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column(
            "reporter_hash",
            sa.LargeBinary(),
            nullable=True,
            comment="SHA-256 of the source and the reporter's token",
        ),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "received_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="null only where a file's time cannot be read",
        ),
        sa.Column(
            "stored_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True, comment="history only"),
        sa.Column("status", sa.Text(), nullable=True, comment="history only, as the file says"),
        sa.CheckConstraint(
            "channel IN ('phone_app', 'hotline', 'inspector', 'video', 'patrol')",
            name=op.f("report_channel_check"),
        ),
        sa.CheckConstraint("num_nonnulls(lon, lat) <> 1", name=op.f("report_place_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("report_pkey")),
        sa.UniqueConstraint("source", "source_id", name=op.f("report_source_source_id_key")),
        schema="gridsvc",
    )
    op.create_geospatial_index(
        "report_point_idx",
        "report",
        ["point"],
        unique=False,
        schema="gridsvc",
        postgresql_using="gist",
    )
    op.create_index(
        op.f("report_received_at_idx"), "report", ["received_at"], unique=False, schema="gridsvc"
    )
    op.create_table(
        "report_answer",
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column(
            "answered_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("mark", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True, comment="why there is no answer"),
        sa.Column("revision", sa.Integer(), nullable=True),
        sa.Column(
            "answer",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
            comment="an Answer, masked; from a file codes alone",
        ),
        sa.CheckConstraint(
            "CASE WHEN mark = 'routed' THEN num_nulls(answer, revision) = 0 AND reason IS NULL"
            " ELSE num_nonnulls(answer, revision) = 0 AND reason IS NOT NULL END",
            name=op.f("report_answer_answered_check"),
        ),
        sa.CheckConstraint(
            "cause IN ('intake', 'import', 'reroute')", name=op.f("report_answer_cause_check")
        ),
        sa.CheckConstraint(
            "mark IN ('routed', 'outside', 'default_point', 'unknown_category',"
            " 'bad_coordinates', 'bad_time', 'too_early')",
            name=op.f("report_answer_mark_check"),
        ),
        sa.ForeignKeyConstraint(
            ["report_id"], ["gridsvc.report.id"], name=op.f("report_answer_report_id_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["revision"], ["gridsvc.revision.number"], name=op.f("report_answer_revision_fkey")
        ),
        sa.PrimaryKeyConstraint("report_id", "number", name=op.f("report_answer_pkey")),
        schema="gridsvc",
    )
    op.execute(STORAGE_CRS)
    op.execute(GRANTS)


def downgrade() -> None:
    op.drop_table("report_answer", schema="gridsvc")
    op.drop_index(op.f("report_received_at_idx"), table_name="report", schema="gridsvc")
    op.drop_geospatial_index(
        "report_point_idx",
        table_name="report",
        schema="gridsvc",
        postgresql_using="gist",
        column_name="point",
    )
    op.drop_geospatial_table("report", schema="gridsvc")
