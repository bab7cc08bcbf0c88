"""The local network is told where the bridge is: `_osc._udp`, by DNS-SD."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zeroconf.asyncio import AsyncZeroconf

log = logging.getLogger(__name__)

SERVICE = "_osc._udp.local."


class Announcement:
    """One bridge's entry. Loopback addresses are never announced: nobody else could use them."""

    def __init__(self, hosts: Sequence[str], port: int) -> None:
        self._hosts = [host for host in hosts if not ipaddress.ip_address(host).is_loopback]
        self._port = port
        self._zeroconf: AsyncZeroconf | None = None

    async def start(self) -> bool:
        """Announce; False, with a word in the log, where that cannot be."""
        if not self._hosts:
            return False
        if find_spec("zeroconf") is None:
            log.warning("not announced to the network: `pip install stembridge[lan]` adds what it takes")
            return False
        from zeroconf import ServiceInfo
        from zeroconf.asyncio import AsyncZeroconf

        name = f"Stembridge on {socket.gethostname()}.{SERVICE}"
        addresses = [ipaddress.ip_address(host).packed for host in self._hosts]
        info = ServiceInfo(SERVICE, name, port=self._port, addresses=addresses, properties={"types": "ifs"})
        interfaces: Any = self._hosts
        try:
            self._zeroconf = AsyncZeroconf(interfaces=interfaces)
            await asyncio.wait_for(await self._zeroconf.async_register_service(info), 5.0)
        except Exception as error:
            log.warning("not announced to the network: %s", error)
            await self.close()
            return False
        return True

    async def close(self) -> None:
        """Take the entry back. Twice is fine."""
        zeroconf, self._zeroconf = self._zeroconf, None
        if zeroconf is not None:
            with contextlib.suppress(Exception):
                await zeroconf.async_unregister_all_services()
                await zeroconf.async_close()
