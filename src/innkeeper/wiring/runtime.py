"""The parts of services/runtime, put together."""

from functools import partial

from innkeeper.engines.sandbox.images import Images
from innkeeper.engines.sandbox.sandbox import Network
from innkeeper.kernel.call import Document
from innkeeper.kernel.caller import Caller
from innkeeper.native import signed_caller
from innkeeper.services.builder.interpreters import Interpreters
from innkeeper.services.builder.model import BuildLimits
from innkeeper.services.builder.service import Builder
from innkeeper.services.runtime.access import Access
from innkeeper.services.runtime.archives import Archives
from innkeeper.services.runtime.authorizer import JwtAuthorizer
from innkeeper.services.runtime.builds import Builds
from innkeeper.services.runtime.commands import Commands
from innkeeper.services.runtime.directory import Directory
from innkeeper.services.runtime.endpoints import Endpoints
from innkeeper.services.runtime.environment import AgentEnvironment, Home
from innkeeper.services.runtime.expiry import Expiry
from innkeeper.services.runtime.forks import Forks
from innkeeper.services.runtime.hibernation import Hibernation
from innkeeper.services.runtime.invocation import Invocations
from innkeeper.services.runtime.lives import Lives
from innkeeper.services.runtime.moments import Moments
from innkeeper.services.runtime.operations import EndpointOperations, InvocationOperations, RuntimeOperations
from innkeeper.services.runtime.provisioning import Provisioner
from innkeeper.services.runtime.retention import Retention
from innkeeper.services.runtime.service import Runtimes
from innkeeper.services.runtime.session_records import SessionRecords
from innkeeper.services.runtime.sessions import Sessions
from innkeeper.services.runtime.shells import Shells
from innkeeper.services.runtime.snapshots import Snapshots
from innkeeper.services.runtime.sockets import Sockets
from innkeeper.services.runtime.storage import SessionStorage
from innkeeper.services.runtime.transitions import Transitions
from innkeeper.services.runtime.workload_tokens import WorkloadTokens
from innkeeper.settings import Settings
from innkeeper.wiring.engines import session_limits
from innkeeper.wiring.office import Office


class Runtime:
    """The parts of the runtime service."""

    def __init__(self, office: Office, settings: Settings, home: Home) -> None:
        engines, data = office.engines, settings.data_dir
        database, clock = engines.database, engines.clock
        self.builder = _builder(settings)
        archives = Archives(engines.blobs, office.buckets, settings.artifact_max_bytes)
        builds = Builds(archives, self.builder)
        storage = SessionStorage(data / "storage", data / "sessions" / "storage")
        self.runtimes = Runtimes(
            database, engines.vault, engines.jobs, archives, office.accounts, office.tags, clock
        )
        images = Images(data / "sessions", engines.sandboxes, 0, settings.sandbox_change_timeout_seconds)
        provisioner = Provisioner(
            engines.sandboxes,
            images,
            builds,
            self.runtimes,
            AgentEnvironment(office.accounts, engines.vault, home, settings.session_credentials_seconds),
            storage,
            session_limits(settings),
            Network(settings.session_network),
            settings.session_init_timeout_seconds,
            settings.session_log_max_bytes,
        )
        records = SessionRecords(database, office.host, clock)
        self.hibernation = Hibernation(images, records, storage, settings.session_images_max_bytes)
        self.sessions = Sessions(
            Lives(records, settings.session_max_count),
            records,
            self.hibernation,
            provisioner,
            storage,
            office.metering,
            data / "logs",
            clock,
            settings.session_stop_timeout_seconds,
            hibernates=settings.session_idle_hibernate,
        )
        self.retention = Retention(records, data / "logs", settings.session_ended_retention_days, clock)
        self.expiry = Expiry(
            self.sessions, clock, settings.session_sweep_seconds, settings.session_idle_pause_seconds
        )
        self.directory = Directory(database, clock)
        moments = Moments(self.sessions, self.hibernation, storage)
        self.forks = Forks(self.sessions, self.hibernation, moments, records)
        self.snapshots = self._snapshots(office, settings, moments, records, storage)
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
            database,
            archives,
            builds,
            self.directory,
            self.sessions,
            self.snapshots,
            office.tags,
            office.policies,
            clock,
        )

    def _snapshots(
        self,
        office: Office,
        settings: Settings,
        moments: Moments,
        records: SessionRecords,
        storage: SessionStorage,
    ) -> Snapshots:
        return Snapshots(
            office.engines.database,
            self.sessions,
            self.hibernation,
            moments,
            self.forks,
            records,
            storage,
            self.directory,
            settings.session_snapshots_max_count,
            office.engines.clock,
        )

    def operations(self) -> tuple[object, ...]:
        return (
            RuntimeOperations(self.runtimes),
            EndpointOperations(self.endpoints),
            InvocationOperations(self.invocations, Commands(self.invocations), self.sessions, self.directory),
        )

    def sockets(self, office: Office, settings: Settings) -> Sockets:
        async def authorize(caller: Caller, operation: str, parameters: Document) -> None:
            await office.gate.check(caller, "bedrock-agentcore", operation, parameters)

        return Sockets(
            self.access,
            self.invocations,
            Shells(),
            partial(signed_caller, office.verifier),
            authorize,
            settings.session_stream_timeout_seconds,
            settings.websocket_frame_max_bytes,
        )


def _builder(settings: Settings) -> Builder:
    return Builder(
        settings.data_dir / "builds",
        BuildLimits(
            archive_bytes=settings.artifact_max_bytes,
            unpacked_bytes=settings.artifact_unpacked_max_bytes,
            timeout_seconds=settings.build_timeout_seconds,
        ),
        Interpreters(settings.python_exact),
    )
