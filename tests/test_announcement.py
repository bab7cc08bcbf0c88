"""The bridge in the local network: announced where others can reach it, and only there."""

from __future__ import annotations

import asyncio

import pytest
from peers import missing
from stembridge.bridge.osc.announcement import SERVICE, Announcement
from stembridge.bridge.osc.transports import private_address
from stembridge.model.errors import StembridgeError

try:
    from zeroconf import ServiceBrowser, ServiceStateChange, Zeroconf
except ImportError:
    missing("zeroconf is not installed (pip install stembridge[lan])")


def test_loopback_is_never_announced() -> None:
    async def run() -> bool:
        announcement = Announcement(["127.0.0.1", "::1"], 9331)
        started = await announcement.start()
        await announcement.close()
        return started

    assert not asyncio.run(run())


def test_others_find_host_and_port() -> None:
    try:
        host = private_address()
    except StembridgeError as error:
        pytest.skip(f"no local network here: {error}")
    found: dict[str, int | None] = {}

    async def run() -> None:
        announcement = Announcement(["127.0.0.1", host], 9477)
        if not await announcement.start():
            pytest.skip("this network takes no multicast")
        zeroconf = Zeroconf(interfaces=[host])

        def changed(
            zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
        ) -> None:
            if state_change is ServiceStateChange.Added:
                info = zeroconf.get_service_info(service_type, name, 3000)
                found[name] = None if info is None else info.port

        browser = ServiceBrowser(zeroconf, SERVICE, handlers=[changed])
        for _ in range(200):
            if 9477 in found.values():
                break
            await asyncio.sleep(0.05)
        browser.cancel()
        zeroconf.close()
        await announcement.close()
        await announcement.close()

    asyncio.run(run())
    assert 9477 in found.values()
