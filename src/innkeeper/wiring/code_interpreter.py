"""The parts of services/code_interpreter, put together."""

from dataclasses import replace

from innkeeper.engines.sandbox.pool import Bounds
from innkeeper.services.code_interpreter.roles import ExecutionRoles
from innkeeper.services.code_interpreter.rooms import Prepare, Rooms, Rules
from innkeeper.services.code_interpreter.service import CodeInterpreters
from innkeeper.services.code_interpreter.sessions import Sessions as CodeSessions
from innkeeper.services.runtime.environment import Home
from innkeeper.settings import Settings
from innkeeper.wiring.engines import session_limits
from innkeeper.wiring.office import Office


def code_interpreters(office: Office, settings: Settings, home: Home) -> CodeInterpreters:
    engines, folder = office.engines, settings.data_dir / "code-interpreter"
    rules = Rules(
        packages=settings.code_interpreter_packages,
        imports=settings.code_interpreter_imports,
        limits=replace(session_limits(settings), scratch_mib=settings.code_interpreter_scratch_mib),
        sessions=settings.code_interpreter_max_sessions,
        cell_timeout_seconds=settings.code_interpreter_cell_timeout_seconds,
        shared_kernel=settings.untrusted_code_in_namespaces,
        prepare=Prepare(settings.code_interpreter_prepare),
        pool=Bounds(settings.code_interpreter_pool_count, settings.code_interpreter_pool_memory_share),
    )
    roles = ExecutionRoles(office.accounts, home.host, home.port)
    rooms = Rooms(engines.sandboxes, office.packages, folder, rules, roles.relay)
    sessions = CodeSessions(
        engines.database, rooms, roles, office.secrets, office.metering, office.host, engines.clock
    )
    return CodeInterpreters(
        engines.database, office.accounts, office.tags, office.policies, sessions, engines.clock
    )
