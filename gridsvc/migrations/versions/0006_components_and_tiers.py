"""Components, whose they are, and tiers.

Revision: 0006, after 0005.
"""

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


GRANTS = """
GRANT SELECT ON gridsvc.component_rule, gridsvc.tier, gridsvc.component, gridsvc.component_edit
    TO gridsvc_service;
GRANT SELECT (id, code, category, point, valid_from, valid_to, rev_from, rev_to)
    ON gridsvc.component TO gridsvc_reader;
"""

# Loading a scheme gives the columns their SRID; where one is loaded already, this does.
STORAGE_CRS = """
DO $$
DECLARE
    loaded integer := (SELECT srid FROM gridsvc.scheme ORDER BY id DESC LIMIT 1);
    name text;
BEGIN
    IF loaded IS NOT NULL THEN
        FOREACH name IN ARRAY ARRAY['component', 'component_edit'] LOOP
            EXECUTE format(
                'ALTER TABLE gridsvc.%I ALTER COLUMN point TYPE geometry(Point, %s)', name, loaded);
        END LOOP;
    END IF;
END
$$
"""


def upgrade() -> None:
    op.create_table(
        "component_rule",
        sa.Column("scheme_id", sa.Integer(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False, comment="prefix; '' is all"),
        sa.Column("within_m", sa.Double(), nullable=False),
        sa.Column("apart_m", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["scheme_id"], ["gridsvc.scheme.id"], name=op.f("component_rule_scheme_id_fkey")
        ),
        sa.PrimaryKeyConstraint("scheme_id", "category", name=op.f("component_rule_pkey")),
        schema="gridsvc",
    )
    op.create_table(
        "tier",
        sa.Column("scheme_id", sa.Integer(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("duty", sa.Text(), nullable=False),
        sa.Column("layer", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "duty IN ('responsibility', 'management', 'enforcement', 'supervision')",
            name=op.f("tier_duty_check"),
        ),
        sa.ForeignKeyConstraint(["layer"], ["gridsvc.layer.code"], name=op.f("tier_layer_fkey")),
        sa.ForeignKeyConstraint(
            ["scheme_id"], ["gridsvc.scheme.id"], name=op.f("tier_scheme_id_fkey")
        ),
        sa.PrimaryKeyConstraint("scheme_id", "code", name=op.f("tier_pkey")),
        schema="gridsvc",
    )
    op.create_geospatial_table(
        "component",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False, comment="class code, not a prefix"),
        sa.Column("owner", sa.Text(), nullable=False, comment="party code"),
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
        ),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rev_from", sa.Integer(), nullable=False),
        sa.Column("rev_to", sa.Integer(), nullable=True),
        postgresql.ExcludeConstraint(
            (sa.column("code"), "="),
            (sa.text("tstzrange(valid_from, valid_to)"), "&&"),
            (sa.text("int4range(rev_from, rev_to)"), "&&"),
            using="gist",
            name="component_one_version_excl",
        ),
        sa.CheckConstraint("code <> '' AND code = btrim(code)", name=op.f("component_code_check")),
        sa.CheckConstraint("rev_from < rev_to", name=op.f("component_revisions_check")),
        sa.CheckConstraint("valid_from < valid_to", name=op.f("component_period_check")),
        sa.ForeignKeyConstraint(
            ["owner"], ["gridsvc.party.code"], name=op.f("component_owner_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["rev_from"], ["gridsvc.revision.number"], name=op.f("component_rev_from_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["rev_to"], ["gridsvc.revision.number"], name=op.f("component_rev_to_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("component_pkey")),
        schema="gridsvc",
    )
    op.create_index(
        "component_place_idx",
        "component",
        ["category", "point"],
        unique=False,
        schema="gridsvc",
        postgresql_using="gist",
    )
    op.create_geospatial_table(
        "component_edit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("change_set_id", sa.Integer(), nullable=False),
        sa.Column("replaces", sa.BigInteger(), nullable=True),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
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
        ),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "num_nonnulls(category, owner, point, valid_from) IN (0, 4)",
            name=op.f("component_edit_whole_check"),
        ),
        sa.CheckConstraint(
            "num_nonnulls(replaces, point) > 0", name=op.f("component_edit_purpose_check")
        ),
        sa.CheckConstraint("valid_from < valid_to", name=op.f("component_edit_period_check")),
        sa.ForeignKeyConstraint(
            ["change_set_id"],
            ["gridsvc.change_set.id"],
            name=op.f("component_edit_change_set_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["replaces"], ["gridsvc.component.id"], name=op.f("component_edit_replaces_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("component_edit_pkey")),
        schema="gridsvc",
    )
    op.create_index(
        op.f("component_edit_change_set_id_idx"),
        "component_edit",
        ["change_set_id"],
        unique=False,
        schema="gridsvc",
    )
    op.create_index(
        op.f("component_edit_replaces_idx"),
        "component_edit",
        ["replaces"],
        unique=False,
        schema="gridsvc",
    )
    op.execute(STORAGE_CRS)
    op.execute(GRANTS)


def downgrade() -> None:
    op.drop_index(
        op.f("component_edit_replaces_idx"), table_name="component_edit", schema="gridsvc"
    )
    op.drop_index(
        op.f("component_edit_change_set_id_idx"), table_name="component_edit", schema="gridsvc"
    )
    op.drop_geospatial_table("component_edit", schema="gridsvc")
    op.drop_index(
        "component_place_idx", table_name="component", schema="gridsvc", postgresql_using="gist"
    )
    op.drop_geospatial_table("component", schema="gridsvc")
    op.drop_table("tier", schema="gridsvc")
    op.drop_table("component_rule", schema="gridsvc")
