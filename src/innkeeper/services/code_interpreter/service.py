"""Code interpreters: the system's, and custom ones that are created, listed and deleted."""

from sqlalchemy.exc import IntegrityError

from innkeeper.engines.store.client_tokens import claim
from innkeeper.engines.store.database import Database
from innkeeper.kernel.call import Document
from innkeeper.kernel.caller import Caller
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import AccessDenied, Conflict, NotFound
from innkeeper.kernel.ids import Arn, agentcore_arn, resource_id
from innkeeper.kernel.page import Page, PageRequest
from innkeeper.services.account.service import Accounts
from innkeeper.services.code_interpreter import limits, store
from innkeeper.services.code_interpreter.model import (
    RESOURCE_TYPE,
    SYSTEM_INTERPRETER,
    CodeInterpreter,
    check_configuration,
)
from innkeeper.services.code_interpreter.sessions import Sessions
from innkeeper.services.resource_policy.service import ResourcePolicies
from innkeeper.services.tags.service import Tags

_OUTSIDE_CONFIGURATION = {"name", "clientToken", "tags"}


class CodeInterpreters:
    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        tags: Tags,
        policies: ResourcePolicies,
        sessions: Sessions,
        clock: Clock,
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._tags = tags
        self._policies = policies
        self.sessions = sessions
        self._clock = clock

    async def create(self, caller: Caller, parameters: Document) -> CodeInterpreter:
        """Raises Conflict when the name is taken, InvalidRequest for what is not supported."""
        check_configuration(parameters)
        if role := parameters.get("executionRoleArn"):
            await self._accounts.check_agent_role(caller, role)
        id_ = resource_id(parameters["name"])
        kept = {k: v for k, v in parameters.items() if k not in _OUTSIDE_CONFIGURATION}
        interpreter = CodeInterpreter(
            account=caller.account,
            id=id_,
            name=parameters["name"],
            arn=agentcore_arn(caller.region, caller.account, f"{RESOURCE_TYPE}/{id_}"),
            configuration=kept | {"limits": limits.asked(parameters.get("tags", {}), self.sessions.limits)},
            created_at=self._clock.now(),
        )
        try:
            made = await self._insert(interpreter, parameters)
        except IntegrityError as error:
            raise Conflict(f"A code interpreter named {interpreter.name} exists already") from error
        if made != id_:
            return await self.get(caller, made)
        if parameters.get("tags"):
            await self._tags.put(caller, interpreter.arn, parameters["tags"])
        return interpreter

    async def get(self, caller: Caller, interpreter_id: str) -> CodeInterpreter:
        """By its id or its ARN. Raises NotFound."""
        interpreter_id = interpreter_id.rpartition("/")[2]
        if interpreter_id == SYSTEM_INTERPRETER:
            return self.system(caller)
        async with self._database.begin() as connection:
            found = await store.find_interpreter(connection, caller.account, interpreter_id)
        if found is None:
            raise NotFound(f"Code interpreter {interpreter_id} does not exist")
        return found

    def system(self, caller: Caller) -> CodeInterpreter:
        """The one that everybody has."""
        return CodeInterpreter(
            account="aws",
            id=SYSTEM_INTERPRETER,
            name=SYSTEM_INTERPRETER.replace(".", "_"),
            arn=agentcore_arn(caller.region, "aws", f"code-interpreter/{SYSTEM_INTERPRETER}"),
            configuration={"networkConfiguration": {"networkMode": "PUBLIC"}},
            created_at=self.sessions.opened_at,
        )

    async def list(self, caller: Caller, kind: str | None, page: PageRequest) -> Page[CodeInterpreter]:
        """`kind` is SYSTEM, CUSTOM, or None for both: then the system's comes first on the first page."""
        if kind == "SYSTEM":
            return Page([self.system(caller)])
        async with self._database.begin() as connection:
            found = await store.list_interpreters(connection, caller.account, page)
        if kind is None and page.token is None:
            found = [self.system(caller), *found][: page.size + 1]
        return store.INTERPRETERS.page(page, found, key=_place)

    async def delete(self, caller: Caller, interpreter_id: str) -> CodeInterpreter:
        """Ends its sessions as well. Raises NotFound, or AccessDenied for the system's."""
        interpreter = await self.get(caller, interpreter_id)
        if interpreter.id == SYSTEM_INTERPRETER:
            raise AccessDenied("The system's code interpreter cannot be deleted")
        async with self._database.begin() as connection:
            await store.delete_interpreter(connection, interpreter.account, interpreter.id)
        await self.sessions.end_all(interpreter.account, interpreter.id)
        await self._tags.delete_all(interpreter.arn)
        await self._policies.delete_all(interpreter.arn)
        return interpreter

    async def owns(self, account: str, arn: Arn) -> bool:
        """Whether the ARN names a custom code interpreter of this account."""
        kind, _, interpreter_id = arn.resource.partition("/")
        if kind != RESOURCE_TYPE:
            return False
        async with self._database.begin() as connection:
            found = await store.find_interpreter(connection, account, interpreter_id)
        return found is not None and found.arn == str(arn)

    async def _insert(self, interpreter: CodeInterpreter, parameters: Document) -> str:
        """The id that was made: another than the interpreter's when the request is a repeat."""
        async with self._database.begin() as connection:
            made = await claim(
                connection,
                interpreter.account,
                "CreateCodeInterpreter",
                parameters,
                interpreter.id,
                interpreter.created_at,
            )
            if made == interpreter.id:
                await store.insert_interpreter(connection, interpreter)
        return made


def _place(interpreter: CodeInterpreter) -> tuple[str, ...]:
    """Where it stands in a list: the system's before all others."""
    return ("" if interpreter.id == SYSTEM_INTERPRETER else interpreter.id,)
