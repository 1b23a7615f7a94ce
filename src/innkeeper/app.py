"""Everything put together once: settings, engines, services, one ASGI app. The map of the system."""

import asyncio
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
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
from innkeeper.aws.sigv4 import SignatureVerifier
from innkeeper.aws.wire import VerifyBearer, Wire
from innkeeper.drivers import Engines, open_model
from innkeeper.engines.sandbox.pool import Bounds
from innkeeper.engines.sandbox.sandbox import Limits
from innkeeper.kernel.call import Call, Document
from innkeeper.kernel.caller import Caller
from innkeeper.kernel.errors import InnkeeperError
from innkeeper.kernel.owners import ResourceOwner
from innkeeper.named_sandboxes import named_sandboxes
from innkeeper.native import authenticated, signed_caller
from innkeeper.services.account import jobs as account_jobs
from innkeeper.services.account import routes as account_routes
from innkeeper.services.account.iam_operations import IamOperations
from innkeeper.services.account.operations import StsOperations
from innkeeper.services.account.service import Accounts
from innkeeper.services.buckets.operations import S3Handler
from innkeeper.services.buckets.service import Buckets
from innkeeper.services.builder.interpreters import Interpreters
from innkeeper.services.builder.model import BuildLimits
from innkeeper.services.builder.service import Builder
from innkeeper.services.code_interpreter.operations import CodeInterpreterOperations
from innkeeper.services.code_interpreter.rooms import Prepare, Rooms, Rules
from innkeeper.services.code_interpreter.service import CodeInterpreters
from innkeeper.services.code_interpreter.sessions import Sessions as CodeSessions
from innkeeper.services.model_gateway.operations import ModelGatewayOperations
from innkeeper.services.model_gateway.routes import routes as model_routes
from innkeeper.services.model_gateway.service import ModelGateway
from innkeeper.services.resource_policy.gate import Gate
from innkeeper.services.resource_policy.operations import ResourcePolicyOperations
from innkeeper.services.resource_policy.service import ResourcePolicies
from innkeeper.services.runtime import jobs as runtime_jobs
from innkeeper.services.runtime.access import Access
from innkeeper.services.runtime.archives import Archives
from innkeeper.services.runtime.authorizer import JwtAuthorizer
from innkeeper.services.runtime.builds import Builds
from innkeeper.services.runtime.commands import Commands
from innkeeper.services.runtime.directory import Directory
from innkeeper.services.runtime.endpoints import Endpoints
from innkeeper.services.runtime.environment import AgentEnvironment, Home
from innkeeper.services.runtime.expiry import Expiry
from innkeeper.services.runtime.invocation import Invocations
from innkeeper.services.runtime.operations import (
    EndpointOperations,
    InvocationOperations,
    RuntimeOperations,
)
from innkeeper.services.runtime.provisioning import Provisioner
from innkeeper.services.runtime.routes import agent_routes, native_routes
from innkeeper.services.runtime.service import Runtimes
from innkeeper.services.runtime.sessions import Sessions
from innkeeper.services.runtime.shells import Shells
from innkeeper.services.runtime.sockets import Sockets
from innkeeper.services.runtime.storage import SessionStorage
from innkeeper.services.runtime.transitions import Transitions
from innkeeper.services.runtime.workload_tokens import WorkloadTokens
from innkeeper.services.sandboxes import routes as sandbox_routes
from innkeeper.services.tags.operations import TagOperations
from innkeeper.services.tags.service import Tags
from innkeeper.services.usage.model import Rates
from innkeeper.services.usage.routes import routes as usage_routes
from innkeeper.services.usage.service import Metering
from innkeeper.services.web.front import Front
from innkeeper.services.web.routes import routes as web_routes
from innkeeper.settings import Settings
from innkeeper.web_services import web_services

VERSION = version("innkeeper")


class Innkeeper:
    """The running system. `http` answers from `open` until `close`."""

    def __init__(self, settings: Settings, home: Home) -> None:
        host = socket.gethostname()
        self.engines = engines = Engines(settings, host)
        owners: dict[str, ResourceOwner] = {}
        self.accounts = Accounts(engines.database, engines.vault, engines.clock)
        self.buckets = Buckets(engines.database, engines.blobs, engines.clock)
        self.tags = Tags(engines.database, owners)
        self.policies = ResourcePolicies(engines.database, owners, engines.clock)
        self.gate = Gate(self.accounts, self.policies)
        self.models = ModelGateway(
            engines.database, settings.models, settings.model_ids, open_model, engines.clock, self._agent_of
        )
        rates = Rates(settings.usage_usd_per_vcpu_hour, settings.usage_usd_per_gb_hour)
        times = settings.usage_sample_seconds, settings.usage_retention_days
        self.metering = Metering(engines.database, engines.clock, *times, rates)
        self.runtime = Runtime(self, settings, home, host)
        owners["runtime"] = owners["runtime-endpoint"] = self.runtime.runtimes
        self.code = owners["code-interpreter-custom"] = _code_interpreters(self, settings, host)
        self.sandboxes = named_sandboxes(engines, _limits(settings), settings, host)
        self.verifier = SignatureVerifier(
            self.accounts.credential, engines.clock, settings.clock_skew_seconds
        )
        doors = self.runtime.sessions.door, self.code.sessions.door
        self.web = web_services(doors, self.sandboxes, engines.vault, engines.clock, settings)
        self.http = Front(_http(self, settings), self.web)
        self._watch: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Bring the state up to date, clear away what a killed server left, and begin to work."""
        engines = self.engines
        await engines.database.migrate()
        await engines.sandboxes.reap()
        await self.runtime.sessions.recover()
        await self.runtime.builder.sweep()
        await self.code.sessions.recover()
        await self.sandboxes.open()
        runtime_jobs.register(engines.jobs, self.runtime.transitions)
        account_jobs.register(engines.jobs, self.accounts)
        await engines.jobs.open()
        await account_jobs.schedule(engines.jobs)
        await self.runtime.runtimes.resume()
        self.metering.open()
        self._watch = asyncio.create_task(self.runtime.expiry.run())

    async def close(self) -> None:
        """End every session and let go of everything."""
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
        await self.runtime.sessions.close()
        await self.code.sessions.close()
        await self.sandboxes.close()
        await self.metering.close()
        await self.runtime.authorizer.close()
        await self.engines.sandboxes.close()
        await self.engines.jobs.close()
        await self.models.close()
        await self.engines.database.close()

    def _agent_of(self, caller: Caller) -> tuple[str, str] | None:
        return self.runtime.sessions.agent_of(caller)


class Runtime:
    """The parts of the runtime service."""

    def __init__(self, inn: Innkeeper, settings: Settings, home: Home, host: str) -> None:
        engines, data = inn.engines, settings.data_dir
        database, clock = engines.database, engines.clock
        self.builder = Builder(
            data / "builds",
            BuildLimits(
                archive_bytes=settings.artifact_max_bytes,
                unpacked_bytes=settings.artifact_unpacked_max_bytes,
                timeout_seconds=settings.build_timeout_seconds,
            ),
            Interpreters(settings.python_exact),
        )
        archives = Archives(engines.blobs, inn.buckets, settings.artifact_max_bytes)
        builds = Builds(archives, self.builder)
        storage = SessionStorage(data / "storage")
        self.runtimes = Runtimes(
            database, engines.vault, engines.jobs, archives, inn.accounts, inn.tags, clock
        )
        provisioner = Provisioner(
            engines.sandboxes,
            builds,
            self.runtimes,
            AgentEnvironment(inn.accounts, home, settings.session_credentials_seconds),
            storage,
            _limits(settings),
            settings.session_init_timeout_seconds,
            settings.session_log_max_bytes,
        )
        self.sessions = Sessions(
            database,
            provisioner,
            storage,
            inn.metering,
            data / "logs",
            host,
            clock,
            settings.session_max_count,
            settings.session_stop_timeout_seconds,
        )
        self.expiry = Expiry(
            self.sessions, clock, settings.session_sweep_seconds, settings.session_idle_pause_seconds
        )
        self.directory = Directory(database, clock)
        self.authorizer = JwtAuthorizer(clock)
        self.access = Access(self.directory, self.authorizer)
        self.endpoints = Endpoints(database, self.runtimes, self.sessions, self.directory, clock)
        self.invocations = Invocations(
            self.access,
            self.sessions,
            WorkloadTokens(engines.vault.derive("workload-tokens"), clock, settings.workload_token_seconds),
            settings.session_request_timeout_seconds,
            settings.session_stream_timeout_seconds,
        )
        self.transitions = Transitions(
            database, archives, builds, self.directory, self.sessions, inn.tags, inn.policies, clock
        )

    def operations(self) -> tuple[object, ...]:
        return (
            RuntimeOperations(self.runtimes),
            EndpointOperations(self.endpoints),
            InvocationOperations(self.invocations, Commands(self.invocations), self.sessions, self.directory),
        )

    def sockets(self, inn: Innkeeper, settings: Settings) -> Sockets:
        async def authorize(caller: Caller, operation: str, parameters: Document) -> None:
            await inn.gate.check(caller, "bedrock-agentcore", operation, parameters)

        return Sockets(
            self.access,
            self.invocations,
            Shells(),
            partial(signed_caller, inn.verifier),
            authorize,
            settings.session_stream_timeout_seconds,
            settings.websocket_frame_max_bytes,
        )


def _code_interpreters(inn: Innkeeper, settings: Settings, host: str) -> CodeInterpreters:
    engines, folder = inn.engines, settings.data_dir / "code-interpreter"
    limits = BuildLimits(timeout_seconds=settings.build_timeout_seconds)
    rules = Rules(
        packages=settings.code_interpreter_packages,
        imports=settings.code_interpreter_imports,
        limits=replace(_limits(settings), scratch_mib=settings.code_interpreter_scratch_mib),
        sessions=settings.code_interpreter_max_sessions,
        cell_timeout_seconds=settings.code_interpreter_cell_timeout_seconds,
        shared_kernel=settings.untrusted_code_in_namespaces,
        prepare=Prepare(settings.code_interpreter_prepare),
        pool=Bounds(settings.code_interpreter_pool_count, settings.code_interpreter_pool_memory_share),
    )
    builder = Builder(folder, limits, Interpreters(settings.python_exact))
    rooms = Rooms(engines.sandboxes, builder, folder, rules)
    sessions = CodeSessions(engines.database, rooms, inn.metering, host, engines.clock)
    return CodeInterpreters(engines.database, inn.accounts, inn.tags, inn.policies, sessions, engines.clock)


def _limits(settings: Settings) -> Limits:
    """What one session may use."""
    return Limits(
        cpu_cores=settings.session_cpu_cores,
        memory_mib=settings.session_memory_mib,
        processes=settings.session_processes,
    )


def _http(inn: Innkeeper, settings: Settings) -> Starlette:
    routes: list[BaseRoute] = [
        Route("/-/health", _health),
        *_native_routes(inn, settings),
        *agent_routes(inn.runtime.access, inn.runtime.sockets(inn, settings)),
        Mount("/", _wire(inn, settings)),
    ]
    return Starlette(
        routes=routes, exception_handlers={InnkeeperError: _native_error, ClientGone: _nobody_left}
    )


def _wire(inn: Innkeeper, settings: Settings) -> Wire:
    async def authorize(call: Call, operation: OperationModel, parameters: Document) -> None:
        service = operation.service_model.signing_name
        await inn.gate.check(call.caller, service, operation.name, parameters)

    return Wire(_planes(inn), inn.verifier, authorize, _bearer(inn), settings.request_body_max_bytes)


def _planes(inn: Innkeeper) -> list[Plane | RawPlane]:
    agentcore = operations_of(AGENTCORE, *agentcore_operations(inn))
    sts = operations_of(("sts",), StsOperations(inn.accounts))
    iam = operations_of(("iam",), IamOperations(inn.accounts))
    models = operations_of(("bedrock-runtime",), ModelGatewayOperations(inn.models))
    return [
        Plane("bedrock-agentcore", "rest-json", tuple(map(service_model, AGENTCORE)), agentcore),
        Plane("bedrock", "rest-json", (service_model("bedrock-runtime"),), models),
        Plane("sts", "query", (service_model("sts"),), sts),
        Plane("iam", "query", (service_model("iam"),), iam),
        RawPlane("s3", S3Handler(inn.buckets, inn.accounts)),
    ]


def agentcore_operations(inn: Innkeeper) -> tuple[object, ...]:
    """The handlers of both AgentCore services; docs/coverage.md is made from them."""
    return (
        *inn.runtime.operations(),
        CodeInterpreterOperations(inn.code),
        TagOperations(inn.tags),
        ResourcePolicyOperations(inn.policies),
    )


def _bearer(inn: Innkeeper) -> Mapping[str, VerifyBearer]:
    """The operations that take a JWT instead of a signature, where the agent has an authorizer."""

    def admit(operation: str) -> VerifyBearer:
        async def verify(parameters: Document, token: str | None, headers: Mapping[str, str]) -> Caller:
            caller = await inn.runtime.access.bearer(parameters, token, headers)
            await inn.gate.check_bearer(caller, operation, parameters)
            return caller

        return verify

    names = ("InvokeAgentRuntime", "InvokeAgentRuntimeCommand", "StopRuntimeSession", "GetAgentCard")
    return {name: admit(name) for name in names}


def _native_routes(inn: Innkeeper, settings: Settings) -> list[BaseRoute]:
    runtime = inn.runtime
    routes: list[Route] = [
        *account_routes.routes(inn.accounts),
        *native_routes(runtime.runtimes, runtime.sessions),
        *model_routes(inn.models),
        *usage_routes(inn.metering),
        *web_routes(inn.web),
        *sandbox_routes.routes(inn.sandboxes),
    ]
    most = settings.request_body_max_bytes
    large = sandbox_routes.file_routes(inn.sandboxes, most)
    return [
        *(authenticated(route, inn.verifier) for route in routes),
        *(authenticated(route, inn.verifier, most) for route in large),
    ]


async def _health(_request: Request) -> Response:
    return JSONResponse({"status": "ok", "version": VERSION})


async def _native_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, InnkeeperError)
    return JSONResponse({"message": error.message, "code": error.code}, error.status)


async def _nobody_left(_request: Request, _error: Exception) -> Response:
    return Response(status_code=400)
