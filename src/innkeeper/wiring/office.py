"""The services that all others use: who calls, what may be done, whose it is, what it costs."""

from innkeeper.aws.sigv4 import SignatureVerifier
from innkeeper.kernel.owners import ResourceOwner
from innkeeper.services.account.service import Accounts
from innkeeper.services.buckets.service import Buckets
from innkeeper.services.builder.interpreters import Interpreters
from innkeeper.services.builder.model import BuildLimits
from innkeeper.services.builder.service import Builder
from innkeeper.services.resource_policy.gate import Gate
from innkeeper.services.resource_policy.service import ResourcePolicies
from innkeeper.services.secrets_manager.service import SecretsManager
from innkeeper.services.tags.service import Tags
from innkeeper.services.usage.model import Rates
from innkeeper.services.usage.service import Metering
from innkeeper.settings import Settings
from innkeeper.wiring.engines import Engines


class Office:
    """The services that others use, over the engines. `owners` are asked who has a resource."""

    def __init__(self, engines: Engines, settings: Settings) -> None:
        database, clock = engines.database, engines.clock
        self.engines = engines
        self.host = engines.host
        self.owners: dict[str, ResourceOwner] = {}
        self.accounts = Accounts(database, engines.vault, clock)
        self.secrets = SecretsManager(database, engines.vault, self.accounts, clock)
        self.buckets = Buckets(database, engines.blobs, clock)
        self.tags = Tags(database, self.owners)
        self.policies = ResourcePolicies(database, self.owners, clock)
        # The packages of sandboxes and of code interpreters are the same: made once, and they lie there once.
        self.packages = Builder(
            settings.data_dir / "code-interpreter",
            BuildLimits(
                unpacked_bytes=settings.sandbox_image_unpacked_max_bytes,
                timeout_seconds=settings.build_timeout_seconds,
            ),
            Interpreters(settings.python_exact, settings.code_interpreter_deno),
        )
        self.gate = Gate(self.accounts, self.policies)
        self.metering = Metering(
            database,
            clock,
            settings.usage_sample_seconds,
            settings.usage_retention_days,
            Rates(settings.usage_usd_per_vcpu_hour, settings.usage_usd_per_gb_hour),
        )
        self.verifier = SignatureVerifier(self.accounts.credential, clock, settings.clock_skew_seconds)
