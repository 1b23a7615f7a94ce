"""${message[0].upper()}${message[1:]}."""
<%!
    def body(rendered):
        return "\n".join(line for line in rendered.splitlines() if "# ###" not in line).strip()
%>
import sqlalchemy as sa
from alembic import op
${imports}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
% for table in tables:
    ${table}()
% endfor

% for table in tables:

def ${table}() -> None:
    ${context[table] | body}

% endfor
