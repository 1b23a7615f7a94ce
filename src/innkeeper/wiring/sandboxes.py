"""The parts of services/sandboxes, put together."""

from dataclasses import replace

from innkeeper.engines.images.image import ImageLimits
from innkeeper.engines.images.roots import Roots
from innkeeper.engines.sandbox.images import Images
from innkeeper.services.code_interpreter.rooms import INSIDE
from innkeeper.services.sandboxes.grounds import Grounds
from innkeeper.services.sandboxes.image_import import ImageImport
from innkeeper.services.sandboxes.install_scripts import InstallScripts
from innkeeper.services.sandboxes.provisioning import Provisioner, Rules
from innkeeper.services.sandboxes.service import Sandboxes
from innkeeper.services.sandboxes.templates import Templates
from innkeeper.settings import Settings
from innkeeper.wiring.engines import session_limits
from innkeeper.wiring.office import Office


def named_sandboxes(office: Office, settings: Settings) -> Sandboxes:
    engines = office.engines
    root = settings.data_dir / "named-sandboxes"
    rules = Rules(
        limits=replace(session_limits(settings), scratch_mib=settings.sandbox_scratch_mib),
        sandboxes=settings.sandbox_max_count,
        timeout_seconds=settings.sandbox_max_timeout_seconds,
        hibernate_seconds=settings.sandbox_hibernate_idle_seconds,
        snapshots=settings.sandbox_snapshots_max_count,
        image_bytes=settings.sandbox_images_max_bytes,
        sweep_seconds=settings.sandbox_sweep_seconds,
        build_seconds=settings.build_timeout_seconds,
        start_seconds=settings.session_init_timeout_seconds,
        ended_days=settings.sandbox_ended_retention_days,
        shared_kernel=settings.untrusted_code_in_namespaces,
    )
    limits = ImageLimits(
        archive_bytes=settings.sandbox_image_archive_max_bytes,
        unpacked_bytes=settings.sandbox_image_unpacked_max_bytes,
    )
    roots = Roots(settings.data_dir / "images", limits)
    scripts = InstallScripts(
        engines.sandboxes,
        rules.limits,
        rules.shared_kernel,
        limits.unpacked_bytes,
        settings.build_timeout_seconds,
    )
    grounds = Grounds(office.packages, scripts, roots, root, settings.code_interpreter_packages, INSIDE)
    images = Images(
        root, engines.sandboxes, settings.sandbox_scratch_mib, settings.sandbox_change_timeout_seconds
    )
    provisioner = Provisioner(engines.sandboxes, grounds, images, engines.vault, rules)
    image_import = ImageImport(office.buckets, roots, limits.archive_bytes)
    templates = Templates(engines.database, grounds, provisioner, images, image_import, rules, engines.clock)
    return Sandboxes(
        engines.database, provisioner, images, templates, rules, office.metering, office.host, engines.clock
    )
