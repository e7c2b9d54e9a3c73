"""${message}

Revision: ${up_revision}, after ${down_revision}.
"""

from alembic import op
import sqlalchemy as sa
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


# Forward only. The code before this migration must still run after it: add nullable, fill by a script, enforce later.
def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
