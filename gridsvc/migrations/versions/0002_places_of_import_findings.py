"""Findings of an import keep their place and size.

Revision: 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "import_finding", sa.Column("area_m2", sa.Double(), nullable=True), schema="gridsvc"
    )
    op.add_column(
        "import_finding",
        sa.Column("place", Geometry("GEOMETRY", srid=4326, spatial_index=False), nullable=True),
        schema="gridsvc",
    )


def downgrade() -> None:
    op.drop_column("import_finding", "place", schema="gridsvc")
    op.drop_column("import_finding", "area_m2", schema="gridsvc")
