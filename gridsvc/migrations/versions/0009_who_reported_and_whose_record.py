"""Reports are found by their reporter, cases by their areas and their responsible party.

Revision: 0009, after 0007.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "report_reporter_hash_idx",
        "report",
        ["reporter_hash"],
        schema="gridsvc",
        postgresql_where=sa.text("reporter_hash IS NOT NULL"),
    )
    op.create_index(
        "case_areas_idx",
        "case",
        ["areas"],
        schema="gridsvc",
        postgresql_using="gin",
        postgresql_ops={"areas": "jsonb_path_ops"},
    )
    op.create_index("case_responsible_idx", "case", ["responsible"], schema="gridsvc")


def downgrade() -> None:
    op.drop_index("case_responsible_idx", table_name="case", schema="gridsvc")
    op.drop_index("case_areas_idx", table_name="case", schema="gridsvc")
    op.drop_index("report_reporter_hash_idx", table_name="report", schema="gridsvc")
