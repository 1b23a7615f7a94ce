"""Every setting of the server: typed, with its default, its unit in its name, and what it is for.

Read from the environment (`INNKEEPER_PORT=9000`), then from `innkeeper.toml` in the working folder.
`docs/reference/settings.md` is generated from this file and from `memory_settings.py`.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from innkeeper.memory_settings import MemorySettings
from innkeeper.model_provider import ModelProvider

_UserDir = Path.home() / ".innkeeper"


class Settings(MemorySettings, BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="INNKEEPER_", toml_file="innkeeper.toml", extra="forbid", frozen=True
    )

    data_dir: Annotated[Path, Field(description="Folder for the database, keys, code, logs and storage.")] = (
        _UserDir
    )
    host: Annotated[
        str, Field(description="Address to listen on; keep loopback unless a proxy adds TLS.")
    ] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="TCP port; 0 takes a free one.")] = 8471
    region: Annotated[str, Field(description="Region in ARNs that no client's region names.")] = "us-east-1"
    database_url: Annotated[
        str,
        Field(description="SQLAlchemy URL; empty for SQLite in the data folder. `postgresql+psycopg://…`"),
    ] = ""
    jobs: Annotated[
        Literal["dbos", "inline"], Field(description="Engine of durable jobs; inline is for tests.")
    ] = "dbos"
    sandbox_driver: Annotated[
        str,
        Field(description="Sandbox driver, by its entry point's name; auto: gvisor, or else bubblewrap."),
    ] = "auto"
    sandbox_spares: Annotated[
        int,
        Field(
            ge=0,
            description="gVisor sandboxes kept half made, about 25 MiB each, for each of the four kinds "
            "restored last; they take no processor time. Of what is restored again and again, all but the "
            "memory is restored in them. As much memory as was restored last is kept ready with them, 256 "
            "MiB at most for all together.",
        ),
    ] = 2
    sandbox_zygotes: Annotated[
        int,
        Field(
            ge=0,
            description="Programs kept loaded, from which bubblewrap sandboxes are forked ready: for the "
            "code interpreter one, of about 100 MiB; they take no processor time. 0 keeps none.",
        ),
    ] = 2
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="Server log level.")
    ] = "info"

    request_body_max_bytes: Annotated[int, Field(description="Largest request body on the AWS wire.")] = (
        140_000_000
    )
    request_head_max_bytes: Annotated[
        int, Field(description="Largest request line and headers, together.")
    ] = 65_536
    request_arrival_timeout_seconds: Annotated[
        float, Field(description="Longest time until a request is here whole; then the connection is closed.")
    ] = 300.0
    clock_skew_seconds: Annotated[int, Field(description="How far a signature's date may be off.")] = 300

    session_init_timeout_seconds: Annotated[
        float, Field(description="An agent must answer on its port within this time.")
    ] = 30.0
    session_request_timeout_seconds: Annotated[
        float, Field(description="Longest wait for the first byte of an agent's answer.")
    ] = 900.0
    session_stream_timeout_seconds: Annotated[
        float, Field(description="Longest streaming answer or WebSocket connection.")
    ] = 3600.0
    session_sweep_seconds: Annotated[
        float, Field(description="How often sessions are looked at for expiry and health.")
    ] = 5.0
    session_stop_timeout_seconds: Annotated[
        float, Field(description="Grace that an agent gets after SIGTERM before it is killed.")
    ] = 2.0
    session_idle_pause_seconds: Annotated[
        float,
        Field(
            ge=0, description="A session that was idle for so long is paused until its next call; 0: never."
        ),
    ] = 0.0
    session_idle_hibernate: Annotated[
        bool,
        Field(
            description="At its idle time, and when the server stops, a session goes to disk until its next "
            "call instead of ending; with the driver gvisor."
        ),
    ] = False
    session_images_max_bytes: Annotated[
        int, Field(description="What an account's hibernated sessions and their snapshots may take on disk.")
    ] = 50_000_000_000
    session_snapshots_max_count: Annotated[
        int, Field(description="Snapshots of sessions that an account may keep at most.")
    ] = 100
    session_ended_retention_days: Annotated[
        int,
        Field(
            gt=0,
            description="How long an ended session, of an agent or a code interpreter, can be asked about, "
            "and an agent's log of it read.",
        ),
    ] = 30
    session_network: Annotated[
        Literal["public", "none"],
        Field(description="What agents reach: the internet and this server, or this server alone."),
    ] = "public"
    session_max_count: Annotated[int, Field(description="Live sessions on this host at most.")] = 1000
    session_cpu_cores: Annotated[float, Field(description="CPU cores a session may use.")] = 2.0
    session_memory_mib: Annotated[int, Field(description="Memory a session may use.")] = 8192
    session_processes: Annotated[int, Field(description="Processes and threads a session may have.")] = 1024
    session_log_max_bytes: Annotated[
        int, Field(description="Log kept per session; older lines are dropped past it.")
    ] = 10_000_000
    session_credentials_seconds: Annotated[
        int, Field(description="Life of the credentials that an agent gets for its role.")
    ] = 43_200
    websocket_frame_max_bytes: Annotated[int, Field(description="Largest WebSocket message, either way.")] = (
        65_536
    )
    workload_token_seconds: Annotated[int, Field(description="Life of a workload access token.")] = 3600
    artifact_max_bytes: Annotated[int, Field(description="Largest code archive, zipped.")] = 262_144_000
    artifact_unpacked_max_bytes: Annotated[int, Field(description="Largest code archive, unzipped.")] = (
        786_432_000
    )
    python_exact: Annotated[
        bool, Field(description="Fail a build when its Python version is not installed, take no near one.")
    ] = False
    build_timeout_seconds: Annotated[float, Field(description="Longest build of an agent's code.")] = 900.0

    untrusted_code_in_namespaces: Annotated[
        bool,
        Field(
            description="Run code of strangers (code interpreter, named sandboxes, E2B) also where sandboxes "
            "share the host's kernel; agents are the operator's own code, and run anyway."
        ),
    ] = False
    code_interpreter_packages: Annotated[
        tuple[str, ...],
        Field(description="Python packages that sessions of the code interpreter find ready, as JSON."),
    ] = (
        *("numpy", "pandas", "matplotlib", "openpyxl", "scipy", "scikit-learn", "seaborn", "sympy"),
        *("networkx", "requests", "beautifulsoup4", "pypdf", "python-docx", "python-pptx", "xlsxwriter"),
        *("boto3", "awscli", "pip"),
    )
    code_interpreter_imports: Annotated[
        tuple[str, ...],
        Field(description="Python modules that sandboxes of the pool have loaded already, as JSON."),
    ] = ("numpy", "pandas", "matplotlib.pyplot", "openpyxl")
    code_interpreter_deno: Annotated[
        str,
        Field(
            description="Deno, which runs JavaScript and TypeScript unless the runtime is nodejs: its path "
            "or its name on the PATH; deno, where it is not there, is fetched; none: no Deno."
        ),
    ] = "deno"
    code_interpreter_prepare: Annotated[
        Literal["nothing", "packages", "sandboxes"],
        Field(
            description="What the server makes ready when it starts: nothing, the packages of the code "
            "interpreter, or also the sandboxes of its pool, which otherwise begins with the first session."
        ),
    ] = "packages"
    code_interpreter_pool_count: Annotated[
        int, Field(ge=0, description="Sandboxes kept ready for new sessions at most; 0: none.")
    ] = 8
    code_interpreter_pool_memory_share: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="Part of the host's memory that they may take; they go when less is available.",
        ),
    ] = 0.1
    code_interpreter_max_sessions: Annotated[
        int, Field(description="Live code interpreter sessions on this host at most.")
    ] = 1000
    code_interpreter_cell_timeout_seconds: Annotated[
        float, Field(description="Longest run of a cell or command; background tasks may go on.")
    ] = 900.0
    code_interpreter_scratch_mib: Annotated[
        int, Field(description="Size of a session's working folder and of its /tmp, in memory.")
    ] = 4096

    web_domain: Annotated[
        str,
        Field(
            pattern=r"^$|^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$",
            description="Domain below which sandboxes serve: `PORT-ID.DOMAIN`; empty: at `/-/web/ID/PORT/`.",
        ),
    ] = ""
    web_token_max_seconds: Annotated[
        int, Field(gt=0, description="Longest life of a token for a web service in a sandbox.")
    ] = 43_200
    web_requests_max: Annotated[
        int, Field(gt=0, description="Requests and WebSockets to one sandbox at once, at most.")
    ] = 256
    web_message_max_bytes: Annotated[
        int, Field(gt=0, description="Largest WebSocket message of a web service, either way.")
    ] = 4_194_304
    web_answer_timeout_seconds: Annotated[
        float, Field(gt=0, description="Longest wait until a web service in a sandbox begins to answer.")
    ] = 300.0

    usage_sample_seconds: Annotated[
        float, Field(gt=0, description="How often live sandboxes are metered; a crash loses that much use.")
    ] = 60.0
    usage_retention_days: Annotated[
        int, Field(gt=0, description="How long the ledgers of use and of model calls are kept.")
    ] = 400
    usage_usd_per_vcpu_hour: Annotated[
        float, Field(ge=0, description="Price of CPU that was used, in US dollars for a vCPU and an hour.")
    ] = 0.0895
    usage_usd_per_gb_hour: Annotated[
        float, Field(ge=0, description="Price of memory, by its peak, in US dollars for a GB and an hour.")
    ] = 0.00945
    sandbox_max_count: Annotated[int, Field(description="Live named sandboxes on this host at most.")] = 1000
    sandbox_max_timeout_seconds: Annotated[
        int, Field(description="Longest time to live that a named sandbox may ask for.")
    ] = 86_400
    sandbox_scratch_mib: Annotated[
        int, Field(description="Size of a named sandbox's home and of its /tmp, in memory.")
    ] = 4096
    sandbox_sweep_seconds: Annotated[
        float, Field(description="How often named sandboxes are looked at for time-outs.")
    ] = 1.0
    sandbox_hibernate_idle_seconds: Annotated[
        float,
        Field(ge=0, description="A named sandbox that was paused for so long goes to disk; 0: never."),
    ] = 600.0
    sandbox_change_timeout_seconds: Annotated[
        float, Field(description="Longest time to write or read a sandbox's image.")
    ] = 300.0
    sandbox_snapshots_max_count: Annotated[
        int, Field(description="Snapshots that an account may keep at most.")
    ] = 100
    sandbox_ended_retention_days: Annotated[
        int, Field(gt=0, description="How long a named sandbox that has ended can be asked about.")
    ] = 30
    sandbox_images_max_bytes: Annotated[
        int,
        Field(
            description="What an account's snapshots, hibernated sandboxes and templates may take on disk."
        ),
    ] = 50_000_000_000
    sandbox_image_archive_max_bytes: Annotated[
        int, Field(description="Largest archive of a container image that is made a template.")
    ] = 10_000_000_000
    sandbox_image_unpacked_max_bytes: Annotated[
        int, Field(description="Largest container image, or packages, of a template, unpacked.")
    ] = 10_000_000_000

    e2b_domain: Annotated[
        str,
        Field(description="Domain of E2B's clients, as their E2B_DOMAIN: `api.` and sandboxes lie below it."),
    ] = ""
    e2b_public_ports: Annotated[
        bool, Field(description="Let whoever knows a sandbox's host name reach its ports, without a token.")
    ] = False
    e2b_stream_timeout_seconds: Annotated[
        float, Field(description="Longest command, terminal or watch that an E2B client is told of.")
    ] = 86_400.0

    models: Annotated[
        dict[str, ModelProvider],
        Field(description="Model providers by name. See docs/guide/models.md."),
    ] = {}
    model_ids: Annotated[
        dict[str, str],
        Field(
            description="Bedrock model id, or a pattern with `*`, to `PROVIDER/MODEL`; the first match wins."
        ),
    ] = {}

    @property
    def database(self) -> str:
        """The URL in force."""
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir / 'innkeeper.db'}"

    @property
    def jobs_database(self) -> str:
        """The jobs' own SQLite file, so that the two never wait for one lock; or the same PostgreSQL."""
        return self.database_url or f"sqlite:///{self.data_dir / 'jobs.db'}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)
