"""Starting the sandbox of a session and its agent, until the agent answers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from innkeeper.engines.sandbox.images import Images
from innkeeper.engines.sandbox.sandbox import (
    Command,
    Limits,
    Mount,
    Network,
    Process,
    Sandbox,
    SandboxDriver,
    SandboxError,
    SandboxGone,
    SandboxSpec,
)
from innkeeper.kernel.errors import AgentFailed
from innkeeper.services.builder.model import TASK_FOLDER, Build, BuildFailed
from innkeeper.services.runtime.builds import Builds
from innkeeper.services.runtime.environment import AgentEnvironment
from innkeeper.services.runtime.model import AgentRuntime, RuntimeVersion, SessionImage, SessionRecord
from innkeeper.services.runtime.service import Runtimes
from innkeeper.services.runtime.session import Session
from innkeeper.services.runtime.session_log import SessionLog
from innkeeper.services.runtime.storage import SessionStorage

_FIRST_LOOK_SECONDS = 0.005
_LONGEST_LOOK_SECONDS = 0.1
_LOOK_GROWTH = 1.1  # so an agent that is ready waits for us at most a tenth of the time that it took


_Begin = Callable[[Build], Awaitable[tuple[Sandbox, Process]]]


class Provisioner:
    def __init__(
        self,
        driver: SandboxDriver,
        images: Images,
        builds: Builds,
        runtimes: Runtimes,
        environment: AgentEnvironment,
        storage: SessionStorage,
        limits: Limits,
        network: Network,
        init_timeout_seconds: float,
        log_max_bytes: int,
    ) -> None:
        self._driver = driver
        self._images = images
        self._builds = builds
        self._runtimes = runtimes
        self._environment = environment
        self._storage = storage
        self._limits = limits
        self._network = network
        self._init_timeout_seconds = init_timeout_seconds
        self._log_max_bytes = log_max_bytes

    async def start(self, session: Session, runtime: AgentRuntime) -> None:
        """Raises AgentFailed when the agent does not come up; then nothing of the attempt is left."""

        async def begin(build: Build) -> tuple[Sandbox, Process]:
            sandbox = await self._driver.create(await self._spec(session, runtime, build))
            async with _killed_if_it_fails(sandbox):
                return sandbox, await sandbox.exec(Command(build.launch.argv))

        await self._open(session, begin, "The session could not be started")

    async def version(self, record: SessionRecord) -> RuntimeVersion:
        """That of a session. Raises NotFound when it is deleted."""
        return await self._runtimes.get_version(record.key.account, record.key.runtime_id, record.version)

    async def wake(self, session: Session, image: SessionImage) -> None:
        """Raises AgentFailed when it cannot be done, NotFound; then nothing of the attempt is left but the
        image."""
        runtime = await self._runtimes.get(session.key.account, session.key.runtime_id)

        async def go_on(build: Build) -> tuple[Sandbox, Process]:
            sandbox = await self._images.restore(image.id, await self._spec(session, runtime, build))
            async with _killed_if_it_fails(sandbox):
                return sandbox, sandbox.process(image.agent)

        await self._open(session, go_on, "The session could not be woken; it can be stopped, to begin afresh")

    async def _open(self, session: Session, begin: _Begin, complaint: str) -> None:
        log = SessionLog(session.log_path, self._log_max_bytes)
        try:
            build = await self._builds.of(session.version)
            for note in build.notes:
                log.note(note)
            session.open(*await begin(build), log)
        except BaseException as error:
            log.note(str(error) or type(error).__name__)
            log.close()
            session.released()
            if isinstance(error, BuildFailed | SandboxError):
                raise AgentFailed(f"{complaint}: {error}") from error
            raise
        try:
            await self._wait_until_ready(session)
        except BaseException:
            await asyncio.shield(session.close())
            raise

    async def _spec(self, session: Session, runtime: AgentRuntime, build: Build) -> SandboxSpec:
        key, version = session.key, session.version
        credentials = await self._environment.credentials(key, version)
        session.access_key_id = credentials.access_key_id
        passage = self._environment.passage(credentials, session.image)
        session.seal_credentials, session.released = passage.seal, passage.release
        mounts = [Mount(build.path, TASK_FOLDER)]
        mounts += [Mount(folder, str(folder)) for folder in build.launch.mounts]
        mounts += await self._storage.mounts(key, version.number, version.storage_mounts)
        return SandboxSpec(
            id=session.id,
            mounts=mounts,
            environment={
                **build.launch.environment,
                **self._environment.variables(runtime, key, version, credentials),
                **self._runtimes.environment(version),
            },
            limits=self._limits,
            network=self._network,
            relays=[passage.relay],
            working_directory=TASK_FOLDER,
        )

    async def _wait_until_ready(self, session: Session) -> None:
        exited = asyncio.create_task(_exit_code(session))
        ready = asyncio.create_task(_answers(session))
        try:
            await asyncio.wait(
                {exited, ready},
                timeout=self._init_timeout_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if ready.done():
                return ready.result()
            port = session.version.contract.port
            if exited.done():
                raise AgentFailed(
                    f"The agent ended with {exited.result()} before it answered on port {port}. "
                    f"Its log says why: {log_hint(session)}"
                )
            raise AgentFailed(
                f"Runtime initialization time exceeded: the agent did not answer on port {port} within "
                f"{self._init_timeout_seconds:g}s. Its log may say why: {log_hint(session)}"
            )
        finally:
            exited.cancel()
            ready.cancel()


def log_hint(session: Session) -> str:
    """The command that shows a session's log."""
    name = session.key.runtime_id.rpartition("-")[0]
    return f"innkeeper logs {name} {session.key.session_id}"


@contextlib.asynccontextmanager
async def _killed_if_it_fails(sandbox: Sandbox) -> AsyncIterator[None]:
    try:
        yield
    except BaseException:
        await asyncio.shield(sandbox.kill())
        raise


async def _answers(session: Session) -> None:
    """Return once the agent accepts connections, and has answered a ping where its contract has one."""
    pause = _FIRST_LOOK_SECONDS
    while True:
        with contextlib.suppress(OSError):
            (await session.sandbox.dial(session.version.contract.port)).close()
            if not session.version.contract.has_ping or await session.ping():
                return
        await asyncio.sleep(pause)
        pause = min(pause * _LOOK_GROWTH, _LONGEST_LOOK_SECONDS)


async def _exit_code(session: Session) -> str:
    try:
        return f"exit code {await session.agent.wait()}"
    except SandboxGone:
        return "its sandbox"
