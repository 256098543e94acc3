"""What a revision changed is found without reading all that it did not.

Revision: 0013, after 0012.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TABLES = ("area", "assignment", "absence", "component")


def upgrade() -> None:
    for table in TABLES:
        op.create_index(
            op.f(f"{table}_rev_from_idx"), table, ["rev_from"], unique=False, schema="gridsvc"
        )
        op.create_index(
            op.f(f"{table}_rev_to_idx"),
            table,
            ["rev_to"],
            unique=False,
            schema="gridsvc",
            postgresql_where=sa.text("rev_to IS NOT NULL"),
        )


def downgrade() -> None:
    for table in TABLES:
        op.drop_index(op.f(f"{table}_rev_to_idx"), table_name=table, schema="gridsvc")
        op.drop_index(op.f(f"{table}_rev_from_idx"), table_name=table, schema="gridsvc")
