"""Edits made in QGIS, planners and their ground, problems, lineage, lines with a width.

Revision: 0010, after 0009.
"""

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


# Logins are made members of one of these. A planner may do what the edit views allow; a chief is a
# planner whom they allow more.
ROLE = """
DO $$
BEGIN
    CREATE ROLE {role} NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;  -- roles belong to the whole cluster: another database made it
END
$$
"""

# Views and their rights are laid from the scheme (gridsvc.lay_edit_views).
SCHEMAS = """
CREATE SCHEMA IF NOT EXISTS edit;
CREATE SCHEMA IF NOT EXISTS hist;
GRANT USAGE ON SCHEMA edit, hist TO gridsvc_planner, gridsvc_chief, gridsvc_viewer;
GRANT SELECT ON gridsvc.problem, gridsvc.area_lineage TO gridsvc_service;
"""

# Loading a scheme gives the columns their SRID; where one is loaded already, this does.
STORAGE_CRS = """
DO $$
DECLARE
    loaded integer := (SELECT srid FROM gridsvc.scheme ORDER BY id DESC LIMIT 1);
BEGIN
    IF loaded IS NOT NULL THEN
        EXECUTE format(
            'ALTER TABLE gridsvc.area ALTER COLUMN centre_line '
            'TYPE geometry(MultiLineString, %s)', loaded);
        EXECUTE format(
            'ALTER TABLE gridsvc.area_edit ALTER COLUMN centre_line '
            'TYPE geometry(MultiLineString, %s)', loaded);
        EXECUTE format(
            'ALTER TABLE gridsvc.problem ALTER COLUMN part TYPE geometry(Geometry, %s)', loaded);
    END IF;
END
$$
"""


def upgrade() -> None:
    op.create_table(
        "planner",
        sa.Column("login", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column(
            "publishes",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="own change sets; a chief publishes any",
        ),
        sa.Column(
            "change_set_id",
            sa.Integer(),
            nullable=True,
            comment="shown in the edit views; null shows the newest state",
        ),
        sa.CheckConstraint(
            "role IN ('planner', 'chief', 'viewer')", name=op.f("planner_role_check")
        ),
        sa.ForeignKeyConstraint(
            ["change_set_id"], ["gridsvc.change_set.id"], name=op.f("planner_change_set_id_fkey")
        ),
        sa.PrimaryKeyConstraint("login", name=op.f("planner_pkey")),
        schema="gridsvc",
    )
    op.create_geospatial_table(
        "problem",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("change_set_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("stops", sa.Boolean(), nullable=False),
        sa.Column("layer", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("other", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("message_zh", sa.Text(), nullable=False),
        sa.Column("area_m2", sa.Double(), nullable=True),
        sa.Column("width_m", sa.Double(), nullable=True),
        sa.Column(
            "part",
            Geometry(
                dimension=2, spatial_index=False, from_text="ST_GeomFromEWKT", name="geometry"
            ),
            nullable=True,
        ),
        sa.Column(
            "found_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["change_set_id"],
            ["gridsvc.change_set.id"],
            name=op.f("problem_change_set_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("problem_pkey")),
        schema="gridsvc",
    )
    op.create_index(
        op.f("problem_change_set_id_idx"),
        "problem",
        ["change_set_id"],
        unique=False,
        schema="gridsvc",
    )
    op.create_table(
        "recheck",
        sa.Column("change_set_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["change_set_id"],
            ["gridsvc.change_set.id"],
            name=op.f("recheck_change_set_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("change_set_id", name=op.f("recheck_pkey")),
        schema="gridsvc",
    )
    op.create_table(
        "area_lineage",
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("layer", sa.Text(), nullable=False),
        sa.Column("ancestor", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("shared_m2", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["layer"], ["gridsvc.layer.code"], name=op.f("area_lineage_layer_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["revision"], ["gridsvc.revision.number"], name=op.f("area_lineage_revision_fkey")
        ),
        sa.PrimaryKeyConstraint(
            "revision", "layer", "ancestor", "code", name=op.f("area_lineage_pkey")
        ),
        schema="gridsvc",
    )
    op.create_index(
        "area_lineage_code_idx", "area_lineage", ["layer", "code"], unique=False, schema="gridsvc"
    )
    op.create_table(
        "planner_area",
        sa.Column("login", sa.Text(), nullable=False),
        sa.Column("layer", sa.Text(), nullable=False),
        sa.Column("area_code", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["layer"], ["gridsvc.layer.code"], name=op.f("planner_area_layer_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["login"],
            ["gridsvc.planner.login"],
            name=op.f("planner_area_login_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("login", "layer", "area_code", name=op.f("planner_area_pkey")),
        schema="gridsvc",
    )
    op.add_geospatial_column(
        "area",
        sa.Column(
            "centre_line",
            Geometry(
                geometry_type="MULTILINESTRING",
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
            ),
            nullable=True,
        ),
        schema="gridsvc",
    )
    op.add_column(
        "area",
        sa.Column("width_m", sa.Double(), nullable=True, comment="of a layer drawn as lines"),
        schema="gridsvc",
    )
    op.create_index(
        "area_key_idx", "area", [sa.text("(id::integer)")], unique=False, schema="gridsvc"
    )
    op.add_geospatial_column(
        "area_edit",
        sa.Column(
            "centre_line",
            Geometry(
                geometry_type="MULTILINESTRING",
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
            ),
            nullable=True,
        ),
        schema="gridsvc",
    )
    op.add_column(
        "area_edit",
        sa.Column("width_m", sa.Double(), nullable=True, comment="of a layer drawn as lines"),
        schema="gridsvc",
    )
    op.add_column(
        "area_edit",
        sa.Column(
            "origin",
            sa.BigInteger(),
            nullable=True,
            comment="the version in whose place QGIS shows it",
        ),
        schema="gridsvc",
    )
    op.add_column(
        "area_edit",
        sa.Column(
            "row_number",
            sa.Integer(),
            server_default=sa.text("1"),
            nullable=False,
            comment="grows with each edit: tells a stale row",
        ),
        schema="gridsvc",
    )
    op.add_column(
        "area_edit",
        sa.Column(
            "edited_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        schema="gridsvc",
    )
    op.add_column(
        "area_edit",
        sa.Column("edited_by", sa.Text(), server_default=sa.text("session_user"), nullable=False),
        schema="gridsvc",
    )
    op.create_geospatial_index(
        "area_edit_boundary_idx",
        "area_edit",
        ["boundary"],
        unique=False,
        schema="gridsvc",
        postgresql_using="gist",
        postgresql_ops={},
    )
    op.create_foreign_key(
        op.f("area_edit_origin_fkey"),
        "area_edit",
        "area",
        ["origin"],
        ["id"],
        source_schema="gridsvc",
        referent_schema="gridsvc",
    )
    op.add_column(
        "assignment_edit",
        sa.Column(
            "origin",
            sa.BigInteger(),
            nullable=True,
            comment="the version in whose place QGIS shows it",
        ),
        schema="gridsvc",
    )
    op.add_column(
        "assignment_edit",
        sa.Column(
            "row_number",
            sa.Integer(),
            server_default=sa.text("1"),
            nullable=False,
            comment="grows with each edit: tells a stale row",
        ),
        schema="gridsvc",
    )
    op.add_column(
        "assignment_edit",
        sa.Column(
            "edited_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        schema="gridsvc",
    )
    op.add_column(
        "assignment_edit",
        sa.Column("edited_by", sa.Text(), server_default=sa.text("session_user"), nullable=False),
        schema="gridsvc",
    )
    op.create_foreign_key(
        op.f("assignment_edit_origin_fkey"),
        "assignment_edit",
        "assignment",
        ["origin"],
        ["id"],
        source_schema="gridsvc",
        referent_schema="gridsvc",
    )
    op.add_column(
        "change_set",
        sa.Column(
            "takes_effect_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="when versions edited in QGIS begin and those they replace end",
        ),
        schema="gridsvc",
    )
    op.add_column(
        "layer",
        sa.Column(
            "drawn_as",
            sa.Text(),
            server_default="polygon",
            nullable=False,
            comment="a line has a width and is stored as its surface",
        ),
        schema="gridsvc",
    )
    op.create_check_constraint(
        op.f("layer_drawn_as_check"), "layer", "drawn_as IN ('polygon', 'line')", schema="gridsvc"
    )
    for table in ("area", "area_edit"):
        op.create_check_constraint(
            op.f(f"{table}_line_check"),
            table,
            "num_nonnulls(centre_line, width_m) IN (0, 2) AND width_m > 0",
            schema="gridsvc",
        )
    op.add_column(
        "party_edit",
        sa.Column(
            "was",
            sa.Text(),
            nullable=True,
            comment="digest of the party that this was made of; null for a new one",
        ),
        schema="gridsvc",
    )
    op.drop_index(
        op.f("assignment_edit_change_set_id_idx"), table_name="assignment_edit", schema="gridsvc"
    )
    op.create_index(
        "assignment_edit_area_idx",
        "assignment_edit",
        ["change_set_id", "layer", "area_code"],
        schema="gridsvc",
    )
    # People are looked up by area in a draft too, which rests on any revision.
    op.drop_index(
        "area_live_idx",
        table_name="area",
        schema="gridsvc",
        postgresql_where=sa.text("rev_to IS NULL"),
    )
    op.create_index("area_code_idx", "area", ["layer", "code"], schema="gridsvc")
    for role in ("gridsvc_planner", "gridsvc_chief", "gridsvc_viewer"):
        op.execute(ROLE.format(role=role))
    op.execute(SCHEMAS)
    op.execute(STORAGE_CRS)


def downgrade() -> None:
    op.execute("DROP SCHEMA edit CASCADE")
    op.execute("DROP SCHEMA hist CASCADE")
    op.drop_column("party_edit", "was", schema="gridsvc")
    op.drop_index("assignment_edit_area_idx", table_name="assignment_edit", schema="gridsvc")
    op.create_index(
        op.f("assignment_edit_change_set_id_idx"),
        "assignment_edit",
        ["change_set_id"],
        schema="gridsvc",
    )
    op.drop_index("area_code_idx", table_name="area", schema="gridsvc")
    op.create_index(
        "area_live_idx",
        "area",
        ["layer", "code"],
        schema="gridsvc",
        postgresql_where=sa.text("rev_to IS NULL"),
    )
    op.drop_constraint(op.f("layer_drawn_as_check"), "layer", schema="gridsvc")
    op.drop_column("layer", "drawn_as", schema="gridsvc")
    op.drop_column("change_set", "takes_effect_at", schema="gridsvc")
    op.drop_constraint(
        op.f("assignment_edit_origin_fkey"), "assignment_edit", schema="gridsvc", type_="foreignkey"
    )
    op.drop_column("assignment_edit", "edited_by", schema="gridsvc")
    op.drop_column("assignment_edit", "edited_at", schema="gridsvc")
    op.drop_column("assignment_edit", "row_number", schema="gridsvc")
    op.drop_column("assignment_edit", "origin", schema="gridsvc")
    op.drop_constraint(
        op.f("area_edit_origin_fkey"), "area_edit", schema="gridsvc", type_="foreignkey"
    )
    op.drop_geospatial_index(
        "area_edit_boundary_idx",
        table_name="area_edit",
        schema="gridsvc",
        postgresql_using="gist",
        column_name="boundary",
    )
    op.drop_column("area_edit", "edited_by", schema="gridsvc")
    op.drop_column("area_edit", "edited_at", schema="gridsvc")
    op.drop_column("area_edit", "row_number", schema="gridsvc")
    op.drop_column("area_edit", "origin", schema="gridsvc")
    op.drop_column("area_edit", "width_m", schema="gridsvc")
    op.drop_geospatial_column("area_edit", "centre_line", schema="gridsvc")
    op.drop_index("area_key_idx", table_name="area", schema="gridsvc")
    op.drop_column("area", "width_m", schema="gridsvc")
    op.drop_geospatial_column("area", "centre_line", schema="gridsvc")
    op.drop_table("planner_area", schema="gridsvc")
    op.drop_index("area_lineage_code_idx", table_name="area_lineage", schema="gridsvc")
    op.drop_table("area_lineage", schema="gridsvc")
    op.drop_table("recheck", schema="gridsvc")
    op.drop_index(op.f("problem_change_set_id_idx"), table_name="problem", schema="gridsvc")
    op.drop_geospatial_table("problem", schema="gridsvc")
    op.drop_table("planner", schema="gridsvc")
