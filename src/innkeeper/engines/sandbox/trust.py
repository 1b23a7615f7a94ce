"""Whether code of strangers may run in this server's sandboxes."""

from innkeeper.engines.sandbox.sandbox import Isolation, SandboxDriver
from innkeeper.kernel.errors import InvalidRequest

CURE = (
    "install gVisor, as https://gvisor.dev/docs/user_guide/install says, and run the server as root; or, if "
    "you trust whoever may run code here, set INNKEEPER_UNTRUSTED_CODE_IN_NAMESPACES=true"
)


class Trust:
    """`shared_kernel` is the operator's word that namespaces alone are wall enough."""

    def __init__(self, driver: SandboxDriver, shared_kernel: bool) -> None:
        self._driver = driver
        self._granted = shared_kernel

    async def check(self) -> None:
        """Raises InvalidRequest where it may not, which names the cure."""
        if self._granted:
            return
        if (await self._driver.probe()).isolation is Isolation.KERNEL_SHARED:
            raise InvalidRequest(
                "This server's sandboxes share the kernel with the host, which is too weak a wall for code "
                f"of strangers. On the server, {CURE}"
            )
        self._granted = True
