"""What a change set would mean, as last previewed.

Revision: 0011, after 0010.
"""

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


# Loading a scheme gives the columns their SRID; where one is loaded already, this does.
STORAGE_CRS = """
DO $$
DECLARE
    loaded integer := (SELECT srid FROM gridsvc.scheme ORDER BY id DESC LIMIT 1);
BEGIN
    IF loaded IS NOT NULL THEN
        EXECUTE format(
            'ALTER TABLE gridsvc.impact_area ALTER COLUMN part '
            'TYPE geometry(MultiPolygon, %s)', loaded);
        EXECUTE format(
            'ALTER TABLE gridsvc.impact_report ALTER COLUMN point '
            'TYPE geometry(Point, %s)', loaded);
    END IF;
END
$$
"""

# Some take rows of the tables that go.
DROP_FUNCTIONS = """
DO $$
DECLARE
    one regprocedure;
BEGIN
    FOR one IN SELECT p.oid FROM pg_proc AS p
               WHERE p.pronamespace = 'gridsvc'::regnamespace
                 AND (p.proname LIKE '%replay%' OR p.proname LIKE '%impact%'
                      OR p.proname IN ('lay_drafted_revision', 'edits_digest')) LOOP
        EXECUTE format('DROP FUNCTION %s', one);
    END LOOP;
END
$$
"""

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "impact",
        sa.Column("change_set_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("made_at", INSTANT, nullable=False),
        sa.Column("days", sa.Integer(), nullable=False, comment="whose reports were asked again"),
        sa.Column("from_at", INSTANT, nullable=False, comment="reports received from then"),
        sa.Column("to_at", INSTANT, nullable=False, comment="and before then"),
        sa.Column("judged_at", INSTANT, nullable=False, comment="instant of both questions"),
        sa.Column(
            "base_revision", sa.Integer(), nullable=False, comment="that it was compared with"
        ),
        sa.Column(
            "reports", sa.Integer(), nullable=False, comment="received in these days, anywhere"
        ),
        sa.Column(
            "compared",
            sa.Integer(),
            nullable=False,
            comment="on ground or about duties that it touches",
        ),
        sa.Column(
            "moved",
            sa.Integer(),
            nullable=False,
            comment="for which somebody else would have a duty",
        ),
        sa.Column(
            "stops", sa.Integer(), nullable=False, comment="findings that would stop a publish"
        ),
        sa.Column(
            "conflicts",
            sa.Integer(),
            nullable=False,
            comment="with what was published since its base",
        ),
        sa.Column("digest", sa.Text(), nullable=False, comment="of the edits that were previewed"),
        sa.ForeignKeyConstraint(
            ["change_set_id"],
            ["gridsvc.change_set.id"],
            name=op.f("impact_change_set_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("change_set_id", name=op.f("impact_pkey")),
        schema="gridsvc",
    )
    op.create_table(
        "impact_party",
        *_row(),
        sa.Column("party_code", sa.Text(), nullable=True, comment="null: nobody holds the duty"),
        sa.Column("duty", sa.Text(), nullable=False, comment="as an Answer names it"),
        sa.Column("gains", sa.Integer(), nullable=False),
        sa.Column("losses", sa.Integer(), nullable=False),
        *_ties("impact_party"),
        schema="gridsvc",
    )
    op.create_geospatial_table(
        "impact_area",
        *_row(),
        sa.Column("layer", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("area_before_m2", sa.Double(), nullable=True),
        sa.Column("area_after_m2", sa.Double(), nullable=True),
        sa.Column(
            "length_before_m",
            sa.Double(),
            nullable=True,
            comment="of the boundary, or of the centre line where it is drawn as one",
        ),
        sa.Column("length_after_m", sa.Double(), nullable=True),
        sa.Column(
            "moved_edge_m",
            sa.Double(),
            nullable=True,
            comment="of the boundary after, along changed ground",
        ),
        sa.Column(
            "part",
            Geometry(
                geometry_type="MULTIPOLYGON",
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
            comment="ground taken or given",
        ),
        sa.CheckConstraint(
            "what IN ('changed', 'new', 'ended')", name=op.f("impact_area_what_check")
        ),
        *_ties("impact_area"),
        schema="gridsvc",
    )
    op.create_geospatial_table(
        "impact_report",
        *_row(),
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column(
            "point",
            Geometry(
                geometry_type="POINT",
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
            comment="storage CRS",
        ),
        sa.Column("duties", sa.ARRAY(sa.Text()), nullable=False, comment="as an Answer names them"),
        sa.Column(
            "parties_from",
            sa.ARRAY(sa.Text()),
            nullable=False,
            comment="party codes, in that order; null: nobody",
        ),
        sa.Column("parties_to", sa.ARRAY(sa.Text()), nullable=False),
        *_ties("impact_report"),
        schema="gridsvc",
    )
    for table in ("impact_party", "impact_area", "impact_report"):
        op.create_index(
            op.f(f"{table}_change_set_id_idx"), table, ["change_set_id"], schema="gridsvc"
        )
    op.execute(STORAGE_CRS)
    op.execute(
        "GRANT SELECT ON gridsvc.impact, gridsvc.impact_party, gridsvc.impact_area,"
        " gridsvc.impact_report TO gridsvc_service"
    )


def downgrade() -> None:
    for view in ("impact_total", "impact", "impact_area", "impact_report"):
        op.execute(f"DROP VIEW IF EXISTS edit.{view}")
    op.execute(DROP_FUNCTIONS)
    op.drop_geospatial_table("impact_report", schema="gridsvc")
    op.drop_geospatial_table("impact_area", schema="gridsvc")
    op.drop_table("impact_party", schema="gridsvc")
    op.drop_table("impact", schema="gridsvc")


def _row() -> tuple[sa.Column[int], sa.Column[int]]:
    return (
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("change_set_id", sa.Integer(), nullable=False),
    )


def _ties(table: str) -> tuple[sa.ForeignKeyConstraint, sa.PrimaryKeyConstraint]:
    return (
        sa.ForeignKeyConstraint(
            ["change_set_id"],
            ["gridsvc.impact.change_set_id"],
            name=op.f(f"{table}_change_set_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f(f"{table}_pkey")),
    )
