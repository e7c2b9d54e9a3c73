"""What was found when the assumptions of a provider were tried.

Revision: 0010, after 0009.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

KEY = ("provider", "account", "stream", "listing", "assumption")


# Forward only.
def upgrade() -> None:
    op.create_table(
        "observed_behaviour",
        *(sa.Column(name, sa.Text(), nullable=False) for name in (*KEY, "standing", "value", "words")),
        sa.Column("previous", sa.Text(), nullable=True),
        sa.Column("tried_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint(*KEY, name="pk_observed_behaviour"),
    )
