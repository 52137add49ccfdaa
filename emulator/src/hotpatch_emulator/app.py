# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts and ends an emulator run: the Azure port (https), the control port (http) and the guests' listeners."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import signal
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme
from aiohttp import web

from hotpatch_emulator import azure_http, config, control, publish
from hotpatch_emulator.world import World
from hotpatch_emulator.wsman.server import GuestListeners, start_guests

LOOPBACK = "127.0.0.1"


class StartError(RuntimeError):
    """The emulator cannot start; one sentence."""


@dataclass(frozen=True)
class Options:
    """The command line. Port 0 takes any free one; ``network`` None searches for guest addresses that are free."""

    fleet: Path
    run_dir: Path
    port: int = 0
    control_port: int = 0
    winrm_port: int = 5986
    winrm_http_port: int = 5985
    network: str | None = None
    speed: float | None = None
    seed: int | None = None


class Emulator:
    """A running emulator; ``endpoints`` is what endpoints.json says."""

    def __init__(self, world: World, endpoints: dict[str, Any]) -> None:
        self.world = world
        self.endpoints = endpoints


@contextlib.asynccontextmanager
async def running(options: Options) -> Any:
    """Start everything, hand out the Emulator, and end everything."""
    run_dir = options.run_dir.absolute()
    run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    (run_dir / "endpoints.json").unlink(missing_ok=True)  # an earlier run's: nobody must take it for this one's
    async with contextlib.AsyncExitStack() as stack:
        network = options.network or _free_network(stack, options.winrm_port, options.winrm_http_port)
        loaded = config.load(options.fleet, speed=options.speed, seed=options.seed, network=network)
        world = World.make(loaded, run_dir / "audit.jsonl")
        stack.callback(world.audit.close)
        authority = trustme.CA(organization_name="hotpatch-emulator")
        (run_dir / "ca.pem").write_bytes(authority.cert_pem.bytes())
        listeners = await start_guests(
            world.fleet,
            authority,
            world.audit,
            world.clock,
            port=options.winrm_port,
            http_port=options.winrm_http_port,
            before_answer=world.agenda.run_due,
        )
        stack.push_async_callback(listeners.cleanup)
        _script_guests(world, listeners)
        arm = await _serve(stack, azure_http.application(world), options.port, _tls(authority))
        control_url = await _serve(stack, control.application(world, listeners.faults.set), options.control_port, None)
        world.published_at(arm)
        agenda = asyncio.get_running_loop().create_task(world.agenda.run_forever())
        agenda.add_done_callback(_report_end)
        stack.push_async_callback(_cancel, agenda)
        ports = publish.WinrmPorts(options.winrm_port, options.winrm_http_port)
        yield Emulator(world, publish.publish(world, run_dir, authority, arm, control_url, ports))


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _report_end(task: asyncio.Task[None]) -> None:
    """An emulator whose time stands still must not look alive: say so and end the process."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        task.get_loop().call_exception_handler({"message": "the emulator's agenda failed", "exception": error})
        os.kill(os.getpid(), signal.SIGTERM)


def _script_guests(world: World, listeners: GuestListeners) -> None:
    for machine in world.fleet:
        if machine.script.winrm:
            listeners.faults.set(machine.guest.address, machine.script.winrm)
    world.patching.misbehave = listeners.faults.set


def _tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(LOOPBACK, "localhost", "::1").configure_cert(context)
    return context


async def _serve(stack: contextlib.AsyncExitStack, app: web.Application, port: int, tls: ssl.SSLContext | None) -> str:
    """Serve on loopback and return the URL. Error answers of aiohttp itself are not logged: the audit log is."""
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=120, shutdown_timeout=1)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, LOOPBACK, port, ssl_context=tls, backlog=1024)
    try:
        await site.start()
    except OSError as error:
        raise StartError(f"port {port} on {LOOPBACK} cannot be listened on: {error.strerror}") from error
    actual = runner.addresses[0][1]
    return f"{'https' if tls else 'http'}://{LOOPBACK}:{actual}"


def _candidates() -> Iterator[str]:
    start = os.getpid() % 200
    yield "127.20.0.0/16"
    for step in range(200):
        yield f"127.{21 + (start + step) % 200}.0.0/16"


def _free_network(stack: contextlib.AsyncExitStack, *ports: int) -> str:
    """A loopback network whose first address nobody listens on, so that emulators run side by side.

    Its highest address is bound for as long as this emulator runs: of two that start at once only one gets it.
    """
    for network in _candidates():
        hosts = ipaddress.ip_network(network)
        claim = socket.socket()
        try:
            claim.bind((str(hosts.broadcast_address - 1), ports[0]))
        except OSError:
            claim.close()
            continue
        if all(_is_free(str(hosts.network_address + 1), port) for port in ports):
            stack.callback(claim.close)
            return network
        claim.close()
    wanted = " and ".join(str(port) for port in ports)
    raise StartError(f"no loopback network has port {wanted} free for the guests; give another with --winrm-port")


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True


async def serve(options: Options) -> None:
    """Run until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    async with running(options) as emulator:
        machines = len(emulator.world.fleet)
        print(
            f"hotpatch-emulator ready: {machines} machines, Azure at {emulator.endpoints['arm']}, "
            f"control at {emulator.endpoints['control']}, files in {options.run_dir.absolute()}",
            flush=True,
        )
        await ended.wait()
