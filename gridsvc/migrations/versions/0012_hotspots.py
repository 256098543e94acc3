"""Hotspots as found, each run on one revision.

Revision: 0012, after 0011.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# A run is replaced as a whole when there is newer work; its rows go with it.
GRANTS = """
GRANT SELECT, INSERT, DELETE ON gridsvc.hotspot_run, gridsvc.hotspot_area, gridsvc.hotspot_place,
    gridsvc.hotspot_surface TO gridsvc_service
"""


def upgrade() -> None:
    op.create_table(
        "hotspot_run",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "question",
            sa.Text(),
            nullable=False,
            comment="SHA-256 of layer, window, category, value and parameters",
        ),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column(
            "layer",
            sa.Text(),
            nullable=False,
            comment="code of a layer, or square or hexagon: cells of cell_m",
        ),
        sa.Column("cell_m", sa.Double(), nullable=True, comment="null of a layer"),
        sa.Column(
            "per",
            sa.Text(),
            nullable=True,
            comment="what the tested value is divided by; null: cases themselves",
        ),
        sa.Column(
            "from_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="cases opened at or after then",
        ),
        sa.Column("to_at", sa.DateTime(timezone=True), nullable=False, comment="and before then"),
        sa.Column(
            "category",
            sa.Text(),
            nullable=True,
            comment="a class or the beginning of its code; null is all",
        ),
        sa.Column("method", sa.Text(), nullable=False, comment="by which it was judged"),
        sa.Column("parameters", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "seed",
            sa.BigInteger(),
            nullable=True,
            comment="null: the method draws no random numbers",
        ),
        sa.Column(
            "cases",
            sa.Integer(),
            nullable=False,
            comment="in the window, on ground that was tested",
        ),
        sa.Column(
            "newest_case",
            sa.BigInteger(),
            nullable=True,
            comment="of all cases when it was made; with newest_change tells if it is stale",
        ),
        sa.Column(
            "newest_change",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when a case last changed its state by then",
        ),
        sa.Column(
            "made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint("from_at < to_at", name=op.f("hotspot_run_window_check")),
        sa.ForeignKeyConstraint(
            ["revision"], ["gridsvc.revision.number"], name=op.f("hotspot_run_revision_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("hotspot_run_pkey")),
        sa.UniqueConstraint("question", "revision", name=op.f("hotspot_run_question_revision_key")),
        schema="gridsvc",
    )
    op.create_table(
        "hotspot_area",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("cases", sa.Integer(), nullable=False),
        sa.Column(
            "rate",
            sa.Double(),
            nullable=True,
            comment="cases by the run's `per`, by km² where it has none; null without a base",
        ),
        sa.Column(
            "rate_low", sa.Double(), nullable=True, comment="of 95 %, as a Poisson count has"
        ),
        sa.Column("rate_high", sa.Double(), nullable=True),
        sa.Column("value", sa.Double(), nullable=True, comment="as tested; null: no such figure"),
        sa.Column("neighbours", sa.Integer(), nullable=False),
        sa.Column("z", sa.Double(), nullable=True, comment="Gi*; null where it was not tested"),
        sa.Column("p", sa.Double(), nullable=True, comment="two-sided"),
        sa.Column("q", sa.Double(), nullable=True, comment="p after Benjamini and Hochberg"),
        sa.Column("kind", sa.Text(), nullable=False, comment="hot_99 … cold_99, none, untested"),
        sa.Column(
            "pattern",
            sa.Text(),
            nullable=True,
            comment="new, intensifying …; null where there are too few steps of time",
        ),
        sa.Column(
            "trend_z", sa.Double(), nullable=True, comment="Mann-Kendall, of cases over time"
        ),
        sa.Column("trend_p", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["gridsvc.hotspot_run.id"],
            name=op.f("hotspot_area_run_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "code", name=op.f("hotspot_area_pkey")),
        schema="gridsvc",
    )
    op.create_table(
        "hotspot_place",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("rank", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "previous_rank",
            sa.Integer(),
            nullable=True,
            comment="a month before; null where it was none",
        ),
        sa.Column("codes", postgresql.ARRAY(sa.Text()), nullable=False, comment="of its areas"),
        sa.Column(
            "lon", sa.Double(), nullable=False, comment="in its strongest area; EPSG:4326, degrees"
        ),
        sa.Column("lat", sa.Double(), nullable=False),
        sa.Column("cases", sa.Integer(), nullable=False),
        sa.Column(
            "expected", sa.Double(), nullable=False, comment="cases, if they were spread evenly"
        ),
        sa.Column("z", sa.Double(), nullable=False, comment="of its strongest area"),
        sa.Column("q", sa.Double(), nullable=False, comment="likewise"),
        sa.Column(
            "hours",
            postgresql.ARRAY(sa.BigInteger()),
            nullable=False,
            comment="cases by hour of the week, 168 from Monday 0:00, local",
        ),
        sa.Column(
            "peaks",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="spans of the week with more than the city's own rhythm explains",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["gridsvc.hotspot_run.id"],
            name=op.f("hotspot_place_run_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "rank", name=op.f("hotspot_place_pkey")),
        schema="gridsvc",
    )
    op.create_table(
        "hotspot_surface",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("west_m", sa.Double(), nullable=False, comment="of the first cell; storage CRS"),
        sa.Column("south_m", sa.Double(), nullable=False),
        sa.Column("cell_m", sa.Double(), nullable=False),
        sa.Column("columns", sa.Integer(), nullable=False),
        sa.Column("bandwidth_m", sa.Double(), nullable=False),
        sa.Column(
            "per_km2",
            postgresql.ARRAY(sa.Double()),
            nullable=False,
            comment="cases per km², at the middle of each cell",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["gridsvc.hotspot_run.id"],
            name=op.f("hotspot_surface_run_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", name=op.f("hotspot_surface_pkey")),
        schema="gridsvc",
    )
    op.create_index("case_state_since_idx", "case", ["state_since"], unique=False, schema="gridsvc")
    op.execute(GRANTS)


def downgrade() -> None:
    op.drop_index("case_state_since_idx", table_name="case", schema="gridsvc")
    op.drop_table("hotspot_surface", schema="gridsvc")
    op.drop_table("hotspot_place", schema="gridsvc")
    op.drop_table("hotspot_area", schema="gridsvc")
    op.drop_table("hotspot_run", schema="gridsvc")
