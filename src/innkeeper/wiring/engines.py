"""The engines, by the settings. Drivers are imported here alone, late, by their names."""

from collections.abc import Awaitable, Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from innkeeper.engines.blobs.folder import FolderBlobs
from innkeeper.engines.embedders.embedder import Embedder
from innkeeper.engines.extraction.extractor import Extractor
from innkeeper.engines.jobs.jobs import Jobs
from innkeeper.engines.models.model import Converse, Model, Provider
from innkeeper.engines.sandbox.sandbox import Limits, SandboxDriver
from innkeeper.engines.search.search import Search
from innkeeper.engines.store.database import Database
from innkeeper.engines.vault.local import LocalVault
from innkeeper.engines.vetting.vetting import Vetting
from innkeeper.kernel.clock import SystemClock
from innkeeper.services.memory.recall.veils import MemoryVeils
from innkeeper.services.memory.sealing.keyring import with_keys
from innkeeper.services.model_gateway.providers import api_key
from innkeeper.settings import Settings


class Engines:
    """What the services stand on."""

    def __init__(self, settings: Settings, host: str) -> None:
        data = settings.data_dir
        self.host = host
        self.clock = SystemClock()
        self.database = Database(settings.database)
        self.vault = open_vault(settings)
        self.memory_database = with_keys(self.database, self.vault)
        self.blobs = FolderBlobs(data / "blobs")
        self.jobs = _jobs(settings, host)
        self.sandboxes = _sandbox_driver(settings)
        self.search = _search(settings, self.memory_database)
        self.embedder = _embedder(settings)
        self.vetting = _vetting(settings)


def open_vault(settings: Settings) -> LocalVault:
    return LocalVault(master_key_path(settings))


def master_key_path(settings: Settings) -> Path:
    return settings.data_dir / "master.key"


def session_limits(settings: Settings) -> Limits:
    """What one session may use."""
    return Limits(
        cpu_cores=settings.session_cpu_cores,
        memory_mib=settings.session_memory_mib,
        processes=settings.session_processes,
    )


def _jobs(settings: Settings, host: str) -> Jobs:
    if settings.jobs == "inline":
        from innkeeper.engines.jobs.inline import InlineJobs

        return InlineJobs()
    from innkeeper.engines.jobs.dbos_jobs import DbosJobs

    return DbosJobs(settings.jobs_database, host)


def _search(settings: Settings, database: Database) -> Search:
    veils = MemoryVeils(database).of
    if settings.database.startswith("postgresql"):
        from innkeeper.engines.search.postgres import PostgresSearch

        return PostgresSearch(database, veils)
    from innkeeper.engines.search.sqlite.driver import SqliteSearch

    return SqliteSearch(settings.data_dir / "search", veils)


def _embedder(settings: Settings) -> Embedder:
    if settings.embedder == "minilm":
        from innkeeper.engines.embedders.minilm import MiniLm
        from innkeeper.engines.embedders.minilm_install import default_folder, own_folder

        return MiniLm(own_folder(settings.data_dir), default_folder())
    name, model, provider = _served(settings, "embedder", settings.embedder)
    from innkeeper.engines.embedders.openai_embedder import OpenAiEmbedder

    return OpenAiEmbedder(model, provider.base_url, api_key(name, provider), provider.timeout_seconds)


def extractor(
    settings: Settings,
    ask: Callable[[str, str, Converse], Awaitable[Converse]],
    answers: Callable[[str], bool],
) -> Extractor:
    """`ask` takes an account, a model's id and a request; `answers` says which ids it knows."""
    from innkeeper.engines.extraction.choice import Choice
    from innkeeper.engines.extraction.extractive.extractive import Extractive
    from innkeeper.engines.extraction.model.extractor import ModelExtractor
    from innkeeper.engines.extraction.model.limits import ModelLimits

    limits = ModelLimits(
        timeout_seconds=settings.memory_model_timeout_seconds,
        attempts=settings.memory_model_attempts,
        patience_seconds=settings.memory_model_patience_seconds,
        answer_tokens=settings.memory_model_answer_max_tokens,
        piece_characters=settings.memory_model_question_max_characters,
        findings=settings.memory_model_max_findings,
    )
    name = settings.memory_model
    model = ModelExtractor(ask, name, limits)
    if not name:
        return Choice(model, Extractive(), answers)
    if not answers(name):
        raise ValueError(
            f"memory_model: {name!r} is neither PROVIDER/MODEL, where models has the PROVIDER, nor answered "
            "by model_ids"
        )
    return model


def _vetting(settings: Settings) -> Vetting:
    vetting: Vetting
    if settings.memory_vetting == "rules":
        from innkeeper.engines.vetting.rules.driver import RuleVetting

        vetting = RuleVetting()
    else:
        vetting = _driver("vetting", settings.memory_vetting)()
    if not settings.memory_guardrail:
        return vetting
    from innkeeper.engines.vetting.guardrail import GuardrailLimits, GuardrailVetting
    from innkeeper.engines.vetting.panel import Panel

    name, model, provider = _served(settings, "memory_guardrail", settings.memory_guardrail)
    limits = GuardrailLimits(
        timeout_seconds=settings.memory_guardrail_timeout_seconds,
        attempts=settings.memory_guardrail_attempts,
        rest_seconds=settings.memory_guardrail_rest_seconds,
        fails_open=settings.memory_guardrail_fails == "open",
    )
    categories, key = settings.memory_guardrail_categories, api_key(name, provider)
    return Panel(vetting, GuardrailVetting(model, provider.base_url, key, categories, limits))


def _served(settings: Settings, setting: str, value: str) -> tuple[str, str, Provider]:
    """The provider that speaks OpenAI's protocol, and its model. Raises ValueError."""
    name, _, model = value.partition("/")
    provider = settings.models.get(name)
    if provider is None or provider.kind != "openai" or not model:
        raise ValueError(
            f"{setting}: {value!r} is no PROVIDER/MODEL, where models has a PROVIDER whose kind is openai"
        )
    return name, model, provider


def _sandbox_driver(settings: Settings) -> SandboxDriver:
    driver: SandboxDriver = _driver("sandbox", settings.sandbox_driver)(settings.data_dir / "sandboxes")
    driver.spares = settings.sandbox_spares
    driver.zygotes = settings.sandbox_zygotes
    return driver


def open_model(provider: Provider, api_key: str) -> Model:
    """The driver of a model provider."""
    model: Model = _driver("model", provider.kind)(provider, api_key)
    return model


def _driver(kind: str, name: str) -> Callable[..., Any]:
    """What makes the driver of this name, ours or a third party's: both come in by the same door, an entry
    point. It is imported only now."""
    group = f"innkeeper.{kind}_drivers"
    for entry in entry_points(group=group, name=name):
        factory: Callable[..., Any] = entry.load()
        return factory
    known = ", ".join(sorted(entry.name for entry in entry_points(group=group)))
    raise ValueError(f"no {kind} driver named {name!r} is installed; there are: {known}")
