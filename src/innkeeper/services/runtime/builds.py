"""The prepared code of versions, made once and made again where it is missing."""

import tempfile
from pathlib import Path

from innkeeper.services.builder.model import Build
from innkeeper.services.builder.service import Builder
from innkeeper.services.runtime.archives import Archives
from innkeeper.services.runtime.model import RuntimeVersion


class Builds:
    def __init__(self, archives: Archives, builder: Builder) -> None:
        self._archives = archives
        self._builder = builder

    async def of(self, version: RuntimeVersion) -> Build:
        """The version's build: from this host's cache, else made from its archive.

        Raises BuildFailed with a text for the developer.
        """
        code = version.configuration["agentRuntimeArtifact"]["codeConfiguration"]
        runtime, entry_point = code["runtime"], code["entryPoint"]
        if version.build is not None:
            kept = await self._builder.find(version.build, runtime, entry_point)
            if kept is not None:
                return kept
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / "archive.zip"
            await self._archives.copy_to(version.account, version.runtime_id, version.number, archive)
            return await self._builder.build(archive, runtime, entry_point)

    async def prune(self, keep: set[str]) -> None:
        """Forget the builds that no version needs."""
        await self._builder.prune(keep)
