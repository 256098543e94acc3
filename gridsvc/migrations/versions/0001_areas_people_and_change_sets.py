"""Areas, people and change sets.

Revision: 0001, the first.
"""

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


# What each group role may do; logins are made members of one of them.
GRANTS = """
GRANT USAGE ON SCHEMA gridsvc TO gridsvc_service, gridsvc_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA gridsvc TO gridsvc_service;
GRANT INSERT ON gridsvc.read_log TO gridsvc_service;
GRANT SELECT ON gridsvc.layer, gridsvc.area, gridsvc.revision TO gridsvc_reader;
"""

ROLE = """
DO $$
BEGIN
    CREATE ROLE {role} NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;  -- roles belong to the whole cluster: another database made it
END
$$
"""


def grant_least_rights() -> None:
    """Make the group roles: `gridsvc_service` for the API, `gridsvc_reader` for SQL users."""
    for role in ("gridsvc_service", "gridsvc_reader"):
        op.execute(ROLE.format(role=role))
    op.execute(GRANTS)


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS postgis SCHEMA public")
    op.execute("CREATE EXTENSION IF NOT EXISTS btree_gist SCHEMA public")
    op.create_table(
        "api_key",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False, comment="SHA-256"),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("api_key_pkey")),
        sa.UniqueConstraint("key_hash", name=op.f("api_key_key_hash_key")),
        sa.UniqueConstraint("name", name=op.f("api_key_name_key")),
        schema="gridsvc",
    )
    op.create_table(
        "change_set",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column(
            "base_revision", sa.Integer(), nullable=False, comment="0 before the first revision"
        ),
        sa.Column("author", sa.Text(), server_default=sa.text("session_user"), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('open', 'checked', 'published', 'withdrawn')",
            name=op.f("change_set_state_check"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("change_set_pkey")),
        schema="gridsvc",
    )
    op.create_index(
        "change_set_open_name_idx",
        "change_set",
        ["name"],
        unique=True,
        schema="gridsvc",
        postgresql_where=sa.text("state IN ('open', 'checked')"),
    )
    op.create_table(
        "layer",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("parent", sa.Text(), nullable=True),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("title_zh", sa.Text(), nullable=False),
        sa.Column("title_en", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('tiling', 'overlay')", name=op.f("layer_kind_check")),
        sa.ForeignKeyConstraint(["parent"], ["gridsvc.layer.code"], name=op.f("layer_parent_fkey")),
        sa.PrimaryKeyConstraint("code", name=op.f("layer_pkey")),
        schema="gridsvc",
    )
    op.create_table(
        "party",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.CheckConstraint("code <> '' AND code = btrim(code)", name=op.f("party_code_check")),
        sa.CheckConstraint("kind IN ('person', 'body')", name=op.f("party_kind_check")),
        sa.PrimaryKeyConstraint("code", name=op.f("party_pkey")),
        schema="gridsvc",
    )
    op.create_table(
        "scheme",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("document", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("srid", sa.Integer(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column(
            "loaded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("scheme_pkey")),
        schema="gridsvc",
    )
    op.create_table(
        "category",
        sa.Column("scheme_id", sa.Integer(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('event', 'component')", name=op.f("category_kind_check")),
        sa.ForeignKeyConstraint(
            ["scheme_id"], ["gridsvc.scheme.id"], name=op.f("category_scheme_id_fkey")
        ),
        sa.PrimaryKeyConstraint("scheme_id", "code", "valid_from", name=op.f("category_pkey")),
        schema="gridsvc",
    )
    op.create_table(
        "escalation_step",
        sa.Column("scheme_id", sa.Integer(), nullable=False),
        sa.Column("step", sa.SmallInteger(), nullable=False),
        sa.Column("duty", sa.Text(), nullable=False),
        sa.Column("layer", sa.Text(), nullable=True),
        sa.Column("within", sa.Text(), nullable=False, comment="ISO 8601 duration"),
        sa.CheckConstraint(
            "duty IN ('responsibility', 'management', 'enforcement', 'supervision')",
            name=op.f("escalation_step_duty_check"),
        ),
        sa.ForeignKeyConstraint(
            ["layer"], ["gridsvc.layer.code"], name=op.f("escalation_step_layer_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["scheme_id"], ["gridsvc.scheme.id"], name=op.f("escalation_step_scheme_id_fkey")
        ),
        sa.PrimaryKeyConstraint("scheme_id", "step", name=op.f("escalation_step_pkey")),
        schema="gridsvc",
    )
    op.create_table(
        "party_edit",
        sa.Column("change_set_id", sa.Integer(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["change_set_id"],
            ["gridsvc.change_set.id"],
            name=op.f("party_edit_change_set_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("change_set_id", "code", name=op.f("party_edit_pkey")),
        schema="gridsvc",
    )
    op.create_table(
        "read_log",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "read_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("api_key_id", sa.Integer(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("party_codes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["api_key_id"], ["gridsvc.api_key.id"], name=op.f("read_log_api_key_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("read_log_pkey")),
        schema="gridsvc",
    )
    op.create_table(
        "revision",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("scheme_id", sa.Integer(), nullable=False),
        sa.Column("change_set_id", sa.Integer(), nullable=True),
        sa.Column("author", sa.Text(), server_default=sa.text("session_user"), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("effective_at <= published_at", name=op.f("revision_effective_check")),
        sa.ForeignKeyConstraint(
            ["change_set_id"], ["gridsvc.change_set.id"], name=op.f("revision_change_set_id_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["scheme_id"], ["gridsvc.scheme.id"], name=op.f("revision_scheme_id_fkey")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("revision_pkey")),
        sa.UniqueConstraint("change_set_id", name=op.f("revision_change_set_id_key")),
        schema="gridsvc",
    )
    op.create_index(
        op.f("revision_effective_at_idx"),
        "revision",
        ["effective_at"],
        unique=False,
        schema="gridsvc",
    )
    op.create_table(
        "rung",
        sa.Column("scheme_id", sa.Integer(), nullable=False),
        sa.Column("duty", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False, comment="prefix; '' is all"),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("layer", sa.Text(), nullable=False),
        sa.Column(
            "is_locality",
            sa.Boolean(),
            nullable=False,
            comment="the last rung, which is never empty",
        ),
        sa.CheckConstraint(
            "duty IN ('responsibility', 'management', 'enforcement', 'supervision')",
            name=op.f("rung_duty_check"),
        ),
        sa.ForeignKeyConstraint(["layer"], ["gridsvc.layer.code"], name=op.f("rung_layer_fkey")),
        sa.ForeignKeyConstraint(
            ["scheme_id"], ["gridsvc.scheme.id"], name=op.f("rung_scheme_id_fkey")
        ),
        sa.PrimaryKeyConstraint(
            "scheme_id", "duty", "category", "position", name=op.f("rung_pkey")
        ),
        schema="gridsvc",
    )
    op.create_geospatial_table(
        "area",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("layer", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column(
            "boundary",
            Geometry(
                geometry_type="MULTIPOLYGON",
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rev_from", sa.Integer(), nullable=False),
        sa.Column("rev_to", sa.Integer(), nullable=True),
        postgresql.ExcludeConstraint(
            (sa.column("layer"), "="),
            (sa.column("code"), "="),
            (sa.text("tstzrange(valid_from, valid_to)"), "&&"),
            (sa.text("int4range(rev_from, rev_to)"), "&&"),
            using="gist",
            name="area_one_version_excl",
        ),
        sa.CheckConstraint("code <> '' AND code = btrim(code)", name=op.f("area_code_check")),
        sa.CheckConstraint(
            "ST_IsValid(boundary) AND NOT ST_IsEmpty(boundary)", name=op.f("area_boundary_check")
        ),
        sa.CheckConstraint(
            "boundary = ST_SnapToGrid(boundary, 0.001)", name=op.f("area_millimetre_check")
        ),
        sa.CheckConstraint("rev_from < rev_to", name=op.f("area_revisions_check")),
        sa.CheckConstraint("valid_from < valid_to", name=op.f("area_period_check")),
        sa.ForeignKeyConstraint(["layer"], ["gridsvc.layer.code"], name=op.f("area_layer_fkey")),
        sa.ForeignKeyConstraint(
            ["rev_from"], ["gridsvc.revision.number"], name=op.f("area_rev_from_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["rev_to"], ["gridsvc.revision.number"], name=op.f("area_rev_to_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("area_pkey")),
        schema="gridsvc",
    )
    op.create_index(
        "area_live_idx",
        "area",
        ["layer", "code"],
        unique=False,
        schema="gridsvc",
        postgresql_where=sa.text("rev_to IS NULL"),
    )
    op.create_table(
        "assignment",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("party_code", sa.Text(), nullable=False),
        sa.Column("layer", sa.Text(), nullable=False),
        sa.Column("area_code", sa.Text(), nullable=False),
        sa.Column("duty", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("rank", sa.SmallInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column(
            "hours",
            postgresql.INT4MULTIRANGE(),
            server_default=sa.text("'{[0,10080)}'"),
            nullable=False,
            comment="minutes of the local week, Monday 00:00 is 0",
        ),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rev_from", sa.Integer(), nullable=False),
        sa.Column("rev_to", sa.Integer(), nullable=True),
        postgresql.ExcludeConstraint(
            (sa.column("layer"), "="),
            (sa.column("area_code"), "="),
            (sa.column("duty"), "="),
            (sa.column("rank"), "="),
            (sa.text("coalesce(category, '')"), "="),
            (sa.column("hours"), "&&"),
            (sa.text("tstzrange(valid_from, valid_to)"), "&&"),
            (sa.text("int4range(rev_from, rev_to)"), "&&"),
            using="gist",
            name="assignment_one_holder_excl",
        ),
        sa.CheckConstraint(
            "NOT isempty(hours) AND hours <@ '{[0,10080)}'", name=op.f("assignment_hours_check")
        ),
        sa.CheckConstraint("category <> ''", name=op.f("assignment_category_check")),
        sa.CheckConstraint(
            "duty IN ('responsibility', 'management', 'enforcement', 'supervision')",
            name=op.f("assignment_duty_check"),
        ),
        sa.CheckConstraint("rank BETWEEN 1 AND 2", name=op.f("assignment_rank_check")),
        sa.CheckConstraint("rev_from < rev_to", name=op.f("assignment_revisions_check")),
        sa.CheckConstraint("valid_from < valid_to", name=op.f("assignment_period_check")),
        sa.ForeignKeyConstraint(
            ["layer"], ["gridsvc.layer.code"], name=op.f("assignment_layer_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["party_code"], ["gridsvc.party.code"], name=op.f("assignment_party_code_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["rev_from"], ["gridsvc.revision.number"], name=op.f("assignment_rev_from_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["rev_to"], ["gridsvc.revision.number"], name=op.f("assignment_rev_to_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("assignment_pkey")),
        schema="gridsvc",
    )
    op.create_index(
        "assignment_area_idx",
        "assignment",
        ["layer", "area_code", "duty", "rank"],
        unique=False,
        schema="gridsvc",
    )
    op.create_index(
        "assignment_party_idx", "assignment", ["party_code"], unique=False, schema="gridsvc"
    )
    op.create_geospatial_table(
        "area_edit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("change_set_id", sa.Integer(), nullable=False),
        sa.Column("replaces", sa.BigInteger(), nullable=True),
        sa.Column("layer", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column(
            "boundary",
            Geometry(
                geometry_type="MULTIPOLYGON",
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
            ),
            nullable=True,
        ),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "num_nonnulls(replaces, boundary) > 0", name=op.f("area_edit_purpose_check")
        ),
        sa.CheckConstraint("valid_from < valid_to", name=op.f("area_edit_period_check")),
        sa.ForeignKeyConstraint(
            ["change_set_id"],
            ["gridsvc.change_set.id"],
            name=op.f("area_edit_change_set_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["layer"], ["gridsvc.layer.code"], name=op.f("area_edit_layer_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["replaces"], ["gridsvc.area.id"], name=op.f("area_edit_replaces_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("area_edit_pkey")),
        schema="gridsvc",
    )
    op.create_index(
        "area_edit_area_idx",
        "area_edit",
        ["change_set_id", "layer", "code"],
        unique=False,
        schema="gridsvc",
    )
    op.create_index(
        op.f("area_edit_replaces_idx"), "area_edit", ["replaces"], unique=False, schema="gridsvc"
    )
    op.create_geospatial_table(
        "area_piece",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("area_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "piece",
            Geometry(
                geometry_type="POLYGON",
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["area_id"],
            ["gridsvc.area.id"],
            name=op.f("area_piece_area_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("area_piece_pkey")),
        schema="gridsvc",
    )
    op.create_index(
        op.f("area_piece_area_id_idx"), "area_piece", ["area_id"], unique=False, schema="gridsvc"
    )
    op.create_geospatial_index(
        "area_piece_piece_idx",
        "area_piece",
        ["piece"],
        unique=False,
        schema="gridsvc",
        postgresql_using="gist",
        postgresql_ops={},
    )
    op.create_table(
        "import_finding",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("change_set_id", sa.Integer(), nullable=False),
        sa.Column("layer", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False, comment="name of the file"),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["change_set_id"],
            ["gridsvc.change_set.id"],
            name=op.f("import_finding_change_set_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["layer"], ["gridsvc.layer.code"], name=op.f("import_finding_layer_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("import_finding_pkey")),
        schema="gridsvc",
    )
    op.create_index(
        op.f("import_finding_change_set_id_idx"),
        "import_finding",
        ["change_set_id"],
        unique=False,
        schema="gridsvc",
    )
    op.create_table(
        "assignment_edit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("change_set_id", sa.Integer(), nullable=False),
        sa.Column("replaces", sa.BigInteger(), nullable=True),
        sa.Column("party_code", sa.Text(), nullable=True),
        sa.Column("layer", sa.Text(), nullable=True),
        sa.Column("area_code", sa.Text(), nullable=True),
        sa.Column("duty", sa.Text(), nullable=True),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("rank", sa.SmallInteger(), nullable=True),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("hours", postgresql.INT4MULTIRANGE(), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "num_nonnulls(replaces, party_code) > 0", name=op.f("assignment_edit_purpose_check")
        ),
        sa.ForeignKeyConstraint(
            ["change_set_id"],
            ["gridsvc.change_set.id"],
            name=op.f("assignment_edit_change_set_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["layer"], ["gridsvc.layer.code"], name=op.f("assignment_edit_layer_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["replaces"], ["gridsvc.assignment.id"], name=op.f("assignment_edit_replaces_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("assignment_edit_pkey")),
        schema="gridsvc",
    )
    op.create_index(
        op.f("assignment_edit_change_set_id_idx"),
        "assignment_edit",
        ["change_set_id"],
        unique=False,
        schema="gridsvc",
    )
    op.create_index(
        op.f("assignment_edit_replaces_idx"),
        "assignment_edit",
        ["replaces"],
        unique=False,
        schema="gridsvc",
    )
    grant_least_rights()


# Functions are laid after each climb and rest on the tables' types.
DROP_FUNCTIONS = """
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'gridsvc'::regnamespace
    LOOP
        EXECUTE format('DROP FUNCTION IF EXISTS %s CASCADE', name);
    END LOOP;
    DROP TYPE IF EXISTS gridsvc.covered_area;
END
$$
"""


def downgrade() -> None:
    op.execute(DROP_FUNCTIONS)
    op.drop_index(
        op.f("assignment_edit_replaces_idx"), table_name="assignment_edit", schema="gridsvc"
    )
    op.drop_index(
        op.f("assignment_edit_change_set_id_idx"), table_name="assignment_edit", schema="gridsvc"
    )
    op.drop_table("assignment_edit", schema="gridsvc")
    op.drop_table("import_finding", schema="gridsvc")
    op.drop_geospatial_index(
        "area_piece_piece_idx",
        table_name="area_piece",
        schema="gridsvc",
        postgresql_using="gist",
        column_name="piece",
    )
    op.drop_index(op.f("area_piece_area_id_idx"), table_name="area_piece", schema="gridsvc")
    op.drop_geospatial_table("area_piece", schema="gridsvc")
    op.drop_index(op.f("area_edit_replaces_idx"), table_name="area_edit", schema="gridsvc")
    op.drop_index("area_edit_area_idx", table_name="area_edit", schema="gridsvc")
    op.drop_geospatial_table("area_edit", schema="gridsvc")
    op.drop_index("assignment_party_idx", table_name="assignment", schema="gridsvc")
    op.drop_index("assignment_area_idx", table_name="assignment", schema="gridsvc")
    op.drop_table("assignment", schema="gridsvc")
    op.drop_index(
        "area_live_idx",
        table_name="area",
        schema="gridsvc",
        postgresql_where=sa.text("rev_to IS NULL"),
    )
    op.drop_geospatial_table("area", schema="gridsvc")
    op.drop_table("rung", schema="gridsvc")
    op.drop_index(op.f("revision_effective_at_idx"), table_name="revision", schema="gridsvc")
    op.drop_table("revision", schema="gridsvc")
    op.drop_table("read_log", schema="gridsvc")
    op.drop_table("party_edit", schema="gridsvc")
    op.drop_table("escalation_step", schema="gridsvc")
    op.drop_table("category", schema="gridsvc")
    op.drop_table("scheme", schema="gridsvc")
    op.drop_table("party", schema="gridsvc")
    op.drop_table("layer", schema="gridsvc")
    op.drop_index(
        "change_set_open_name_idx",
        table_name="change_set",
        schema="gridsvc",
        postgresql_where=sa.text("state IN ('open', 'checked')"),
    )
    op.drop_table("change_set", schema="gridsvc")
    op.drop_table("api_key", schema="gridsvc")
