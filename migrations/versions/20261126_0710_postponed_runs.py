"""When an account may be asked again, where its provider asked for a longer pause than a run waits.

Revision: 0012, after 0011.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


# Forward only.
def upgrade() -> None:
    op.add_column("request_budget", sa.Column("postponed_until", sa.DateTime(timezone=True), nullable=True))
