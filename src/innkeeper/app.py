"""Everything put together once: settings, engines, services, one ASGI app. The map of the system."""

import asyncio
import socket
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version

from botocore.model import OperationModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from innkeeper.aws.exchange import ClientGone
from innkeeper.aws.models import AGENTCORE, service_model
from innkeeper.aws.operations import operations_of
from innkeeper.aws.planes import Plane, RawPlane
from innkeeper.aws.wire import VerifyBearer, Wire
from innkeeper.kernel.call import Call, Document
from innkeeper.kernel.caller import Caller
from innkeeper.kernel.errors import InnkeeperError
from innkeeper.native import authenticated
from innkeeper.services.account import jobs as account_jobs
from innkeeper.services.account import routes as account_routes
from innkeeper.services.account.iam_operations import IamOperations
from innkeeper.services.account.operations import StsOperations
from innkeeper.services.buckets.operations import S3Handler
from innkeeper.services.code_interpreter import jobs as code_jobs
from innkeeper.services.code_interpreter.operations import CodeInterpreterOperations
from innkeeper.services.memory import jobs as memory_jobs
from innkeeper.services.model_gateway import jobs as model_jobs
from innkeeper.services.model_gateway.operations import ModelGatewayOperations
from innkeeper.services.model_gateway.routes import routes as model_routes
from innkeeper.services.model_gateway.service import ModelGateway
from innkeeper.services.resource_policy.operations import ResourcePolicyOperations
from innkeeper.services.runtime import jobs as runtime_jobs
from innkeeper.services.runtime.environment import Home
from innkeeper.services.runtime.routes import agent_routes, native_routes
from innkeeper.services.runtime.snapshot_routes import snapshot_routes
from innkeeper.services.sandboxes import jobs as sandbox_jobs
from innkeeper.services.sandboxes import routes as sandbox_routes
from innkeeper.services.sandboxes import template_routes
from innkeeper.services.secrets_manager import jobs as secret_jobs
from innkeeper.services.secrets_manager.operations import SecretsManagerOperations
from innkeeper.services.tags.operations import TagOperations
from innkeeper.services.usage.routes import routes as usage_routes
from innkeeper.services.web.front import Front
from innkeeper.services.web.routes import routes as web_routes
from innkeeper.settings import Settings
from innkeeper.wiring.code_interpreter import code_interpreters
from innkeeper.wiring.e2b import e2b_api, e2b_routes
from innkeeper.wiring.engines import Engines, open_model
from innkeeper.wiring.memory import Memory
from innkeeper.wiring.office import Office
from innkeeper.wiring.runtime import Runtime
from innkeeper.wiring.sandboxes import named_sandboxes
from innkeeper.wiring.web import web_services

VERSION = version("innkeeper")


class Innkeeper:
    """The running system. `http` answers from `open` until `close`; so does `inside`, for sandboxes."""

    def __init__(self, settings: Settings, home: Home) -> None:
        self._settings = settings
        self.engines = engines = Engines(settings, socket.gethostname())
        self.office = office = Office(engines, settings)
        self.models = ModelGateway(
            engines.database, settings.models, _model_ids(settings), open_model, engines.clock, self._agent_of
        )
        self.runtime = Runtime(office, settings, home)
        office.owners["runtime"] = office.owners["runtime-endpoint"] = self.runtime.runtimes
        self.code = office.owners["code-interpreter-custom"] = code_interpreters(office, settings, home)
        self.memory = Memory(office, settings, self.models)
        office.owners["memory"] = self.memory.memories
        self.sandboxes = named_sandboxes(office, settings)
        self.e2b = e2b_api(office, settings, self.sandboxes)
        doors = self.runtime.sessions.door, self.code.sessions.door
        self.web = web_services(office, settings, doors, self.sandboxes)
        self.inside, outside = _http(self, settings)
        self.http = Front(outside, self.web)
        self._watch: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Bring the state up to date, clear away what a killed server left, and begin to work."""
        engines = self.engines
        await engines.database.migrate()
        await engines.sandboxes.reap()
        await self.runtime.hibernation.recover()
        await self.runtime.builder.sweep()
        await self.code.sessions.recover()
        await self.sandboxes.open()
        runtime_jobs.register(engines.jobs, self.runtime.transitions, self.runtime.retention)
        code_jobs.register(engines.jobs, self.code.sessions, self._settings.session_ended_retention_days)
        account_jobs.register(engines.jobs, self.office.accounts)
        secret_jobs.register(engines.jobs, self.office.secrets)
        sandbox_jobs.register(engines.jobs, self.sandboxes)
        model_jobs.register(engines.jobs, self.models, self._settings.usage_retention_days)
        self.memory.register(engines.jobs)
        await engines.jobs.open()
        await account_jobs.schedule(engines.jobs)
        await secret_jobs.schedule(engines.jobs)
        await runtime_jobs.schedule(engines.jobs)
        await code_jobs.schedule(engines.jobs)
        await memory_jobs.schedule(engines.jobs)
        await sandbox_jobs.schedule(engines.jobs)
        await model_jobs.schedule(engines.jobs)
        await self.runtime.runtimes.resume()
        await self.memory.open()
        self.office.metering.open()
        self._watch = asyncio.create_task(self.runtime.expiry.run())

    async def end_sessions(self) -> None:
        """All that there are, and with them the streams of what goes on in them."""
        await asyncio.gather(self.runtime.sessions.close(), self.code.sessions.close())
        await self.e2b.close()
        await self.sandboxes.close()

    async def close(self) -> None:
        """End every session and let go of everything."""
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
        await self.end_sessions()
        await self.memory.close()
        await self.office.metering.close()
        await self.runtime.authorizer.close()
        await self.engines.sandboxes.close()
        await self.engines.jobs.close()
        await self.models.close()
        await self.engines.search.close()
        await self.engines.embedder.close()
        await self.engines.vetting.close()
        await self.engines.database.close()

    def _agent_of(self, caller: Caller) -> tuple[str, str] | None:
        return self.runtime.sessions.agent_of(caller)


def _model_ids(settings: Settings) -> Mapping[str, str]:
    """With the memories' model under its own name, if that is PROVIDER/MODEL."""
    name = settings.memory_model
    own = {name: name} if name.partition("/")[0] in settings.models and name.partition("/")[2] else {}
    return {**own, **settings.model_ids}


def _http(inn: Innkeeper, settings: Settings) -> tuple[Starlette, Starlette]:
    """For sandboxes, which find what a role may call, and for all others."""
    inside: list[BaseRoute] = [
        Route("/-/health", _health),
        inn.memory.door.route,
        *agent_routes(inn.runtime.access, inn.runtime.sockets(inn.office, settings)),
        Mount("/", _wire(inn, settings)),
    ]
    own = [*e2b_routes(inn.e2b, inn.web, inn.office.verifier), *_native_routes(inn, settings)]
    handlers = {InnkeeperError: _native_error, ClientGone: _nobody_left}
    return (
        Starlette(routes=inside, exception_handlers=handlers),
        Starlette(routes=[*own, *inside], exception_handlers=handlers),
    )


def _wire(inn: Innkeeper, settings: Settings) -> Wire:
    async def authorize(call: Call, operation: OperationModel, parameters: Document) -> None:
        service = operation.service_model.signing_name
        await inn.office.gate.check(call.caller, service, operation.name, parameters)

    return Wire(_planes(inn), inn.office.verifier, authorize, _bearer(inn), settings.request_body_max_bytes)


def _planes(inn: Innkeeper) -> list[Plane | RawPlane]:
    agentcore = operations_of(AGENTCORE, *agentcore_operations(inn))
    sts = operations_of(("sts",), StsOperations(inn.office.accounts))
    iam = operations_of(("iam",), IamOperations(inn.office.accounts))
    secrets = operations_of(("secretsmanager",), SecretsManagerOperations(inn.office.secrets))
    models = operations_of(("bedrock-runtime",), ModelGatewayOperations(inn.models))
    return [
        Plane("bedrock-agentcore", "rest-json", tuple(map(service_model, AGENTCORE)), agentcore),
        Plane("bedrock", "rest-json", (service_model("bedrock-runtime"),), models),
        Plane("sts", "query", (service_model("sts"),), sts),
        Plane("iam", "query", (service_model("iam"),), iam),
        Plane("secretsmanager", "json", (service_model("secretsmanager"),), secrets),
        RawPlane("s3", S3Handler(inn.office.buckets, inn.office.accounts)),
    ]


def agentcore_operations(inn: Innkeeper) -> tuple[object, ...]:
    """The handlers of both AgentCore services; docs/coverage.md is made from them."""
    return (
        *inn.runtime.operations(),
        CodeInterpreterOperations(inn.code),
        *inn.memory.operations(),
        TagOperations(inn.office.tags),
        ResourcePolicyOperations(inn.office.policies),
    )


def _bearer(inn: Innkeeper) -> Mapping[str, VerifyBearer]:
    """The operations that take a JWT instead of a signature, where the agent has an authorizer."""

    def admit(operation: str) -> VerifyBearer:
        async def verify(parameters: Document, token: str | None, headers: Mapping[str, str]) -> Caller:
            caller = await inn.runtime.access.bearer(parameters, token, headers)
            await inn.office.gate.check_bearer(caller, operation, parameters)
            return caller

        return verify

    names = ("InvokeAgentRuntime", "InvokeAgentRuntimeCommand", "StopRuntimeSession", "GetAgentCard")
    return {name: admit(name) for name in names}


def _native_routes(inn: Innkeeper, settings: Settings) -> list[BaseRoute]:
    runtime = inn.runtime
    routes: list[Route] = [
        *account_routes.routes(inn.office.accounts),
        *native_routes(runtime.runtimes, runtime.sessions, runtime.forks),
        *snapshot_routes(runtime.sessions, runtime.snapshots),
        *model_routes(inn.models),
        *usage_routes(inn.office.metering),
        *inn.memory.routes(),
        *web_routes(inn.web),
        *sandbox_routes.routes(inn.sandboxes),
        *template_routes.routes(inn.sandboxes),
    ]
    most = settings.request_body_max_bytes
    large = sandbox_routes.file_routes(inn.sandboxes, most)
    texts_most, texts = inn.memory.upload_routes()
    verifier = inn.office.verifier
    return [
        *(authenticated(route, verifier, texts_most) for route in texts),
        *(authenticated(route, verifier) for route in routes),
        *(authenticated(route, verifier, most) for route in large),
    ]


async def _health(_request: Request) -> Response:
    return JSONResponse({"status": "ok", "version": VERSION})


async def _native_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, InnkeeperError)
    return JSONResponse({"message": error.message, "code": error.code}, error.status)


async def _nobody_left(_request: Request, _error: Exception) -> Response:
    return Response(status_code=400)
