# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guests' WinRM listeners: one TLS listener per guest at its own loopback address, one HTTP server behind all.

A listener costs a socket and a waiting task; its certificate is made when the first client comes, so hundreds of
guests start at once. A guest is known by the address that the client connected to. While it is down (restarting,
powered off) the connection is reset before TLS begins, and connections from before a restart do not outlive it.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import ssl
import struct
from collections.abc import Callable, Coroutine
from typing import Any

import trustme
from aiohttp import web

from hotpatch_emulator.audit import Audit
from hotpatch_emulator.clock import EmulatedClock
from hotpatch_emulator.state import Fleet, Guest, VirtualMachine
from hotpatch_emulator.wsman import auth, envelope, names
from hotpatch_emulator.wsman.envelope import Request
from hotpatch_emulator.wsman.faults import SOAP_TYPE, Behaviour, GuestFaults, reset, spoil
from hotpatch_emulator.wsman.operations import Service, filter_of
from hotpatch_emulator.wsman.soap_faults import SoapFault

PORT = 5986
_PATH = "/wsman"
_IDLE_SECONDS = 120.0  # http.sys drops idle connections after two minutes
_HANDSHAKE_SECONDS = 15.0
_WATCH_SECONDS = 0.1
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Station:
    """One guest's listener: its certificate, its connections, and its service since the last boot."""

    def __init__(self, machine: VirtualMachine, ca: trustme.CA, clock: EmulatedClock, faults: GuestFaults) -> None:
        self.machine = machine
        self.service = Service(machine.guest, clock.now, self.behaviour)
        self._ca = ca
        self._clock = clock
        self._faults = faults
        self._context: ssl.SSLContext | None = None
        self._boot = machine.guest.booted_at
        self._connections: set[asyncio.Transport] = set()

    @property
    def guest(self) -> Guest:
        return self.machine.guest

    def behaviour(self) -> Behaviour:
        return self._faults.of(self.guest.address)

    def is_up(self) -> bool:
        """Whether the guest is up now. Notices that it went down or restarted, which ends all connections."""
        up = self.guest.answers(self._clock.now())
        if self.guest.booted_at != self._boot:
            self._boot = self.guest.booted_at
            self.service = Service(self.guest, self._clock.now, self.behaviour)
            self.drop()
        elif not up:
            self.drop()
        return up

    def drop(self) -> None:
        """Reset every connection."""
        for transport in self._connections:
            transport.abort()
        self._connections.clear()

    def tls(self) -> ssl.SSLContext:
        if self._context is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._ca.issue_cert(self.guest.address, common_name=self.guest.computer_name).configure_cert(context)
            self._context = context
        return self._context

    @property
    def busy(self) -> bool:
        return bool(self._connections)

    def remember(self, transport: asyncio.Transport) -> None:
        self._connections = {known for known in self._connections if not known.is_closing()}
        self._connections.add(transport)


class GuestListeners:
    """All listeners. ``faults`` takes scripted behaviours by guest address; ``cleanup`` ends everything."""

    def __init__(
        self,
        fleet: Fleet,
        ca: trustme.CA,
        audit: Audit,
        clock: EmulatedClock,
        *,
        port: int = PORT,
        before_answer: Callable[[], None] | None = None,
    ) -> None:
        self.faults = GuestFaults()
        self.port = port
        self._audit = audit
        self._before_answer = before_answer or (lambda: None)
        self._stations = {
            machine.guest.address: Station(machine, ca, clock, self.faults) for machine in fleet if machine.guest.winrm
        }
        application = web.Application(client_max_size=names.MAX_ENVELOPE_BYTES)
        application.router.add_route("*", "/{path:.*}", self._handle)
        application.on_response_prepare.append(_name_the_server)
        self._runner = web.AppRunner(
            application, access_log=None, keepalive_timeout=_IDLE_SECONDS, shutdown_timeout=1.0
        )
        self._sockets: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen for every guest with WinRM; OSError names the address that cannot be had."""
        _allow_open_files(4 * len(self._stations) + 512)
        await self._runner.setup()
        try:
            for address, station in self._stations.items():
                listener = _listen(address, self.port)
                self._sockets.append(listener)
                self._spawn(self._accept(listener, station))
        except OSError:
            await self.cleanup()
            raise
        self._spawn(self._watch())

    async def _watch(self) -> None:
        """Drop idle connections of guests that go down, so that a client does not meet them again afterwards."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            for station in self._stations.values():
                if station.busy:
                    station.is_up()

    async def cleanup(self) -> None:
        """Stop listening and drop all connections."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for listener in self._sockets:
            listener.close()
        self._sockets.clear()
        await self._runner.cleanup()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listener: socket.socket, station: Station) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _peer = await loop.sock_accept(listener)
            except OSError:  # out of file descriptors, or the client was gone already
                await asyncio.sleep(0.05)
                continue
            self._before_answer()
            if station.is_up():
                self._spawn(self._serve(connection, station))
            else:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                connection.close()

    async def _serve(self, connection: socket.socket, station: Station) -> None:
        """TLS handshake; from then on the HTTP server owns the connection."""
        server = self._runner.server
        assert server is not None
        try:
            transport, _protocol = await asyncio.get_running_loop().connect_accepted_socket(
                server, connection, ssl=station.tls(), ssl_handshake_timeout=_HANDSHAKE_SECONDS
            )
        except OSError:  # also ssl.SSLError: the client does not trust the certificate, or went away
            connection.close()
            return
        station.remember(transport)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        """One HTTP request."""
        self._before_answer()
        transport = request.transport
        address = transport.get_extra_info("sockname")[0] if transport else ""
        station = self._stations.get(address)
        if station is None or not station.is_up() or transport is None or transport.is_closing():
            return _nothing(request)
        refused = _refused(request)
        if refused is not None:
            return refused
        data = await request.read()
        account = auth.authenticate(request.headers.get("Authorization"), station.guest)
        anonymous = request.headers.get("WSMANIDENTIFY", "").lower() == "unauthenticated"
        parsed: Request | None = None
        fault: SoapFault | None = None
        if account is not None or anonymous:
            try:
                parsed = envelope.parse(data)
            except SoapFault as error:
                fault = error
        if account is None and not (anonymous and parsed is not None and parsed.is_identify):
            self._write(station, None, 401)
            headers = [("WWW-Authenticate", challenge) for challenge in auth.CHALLENGES]
            return web.Response(status=401, headers=headers)
        status, answer, spoilt = await self._answer(station, parsed, fault, named=account is not None)
        self._before_answer()
        if not station.is_up() or transport.is_closing():
            return _nothing(request)  # it went down while it was busy answering
        self._write(station, parsed, status, spoilt)
        if spoilt is not None and spoilt not in _IN_PLACE:
            return await spoil(spoilt, request, status, answer)
        return web.Response(status=status, body=answer, headers={"Content-Type": SOAP_TYPE})

    async def _answer(
        self, station: Station, request: Request | None, fault: SoapFault | None, *, named: bool
    ) -> tuple[int, bytes, str | None]:
        """Status, envelope, and the way in which this answer is spoilt, if it is."""
        relates_to = request.message_id if request else ""
        behaviour = station.behaviour()
        spoilt = behaviour.take_answer()
        if spoilt == "wrong_relates_to":
            relates_to = "uuid:00000000-0000-0000-0000-000000000000"
        if request is not None and request.is_identify:
            build = f"10.0.{station.guest.os_build}" if named else "0.0.0"
            return 200, envelope.identity(f"OS: {build} SP: 0.0 Stack: 3.0"), spoilt
        if request is not None:
            try:
                result = await station.service.answer(request)
                return 200, envelope.answer(result.action, relates_to, result.body), spoilt
            except SoapFault as error:
                fault = error
        assert fault is not None
        body = fault.body(station.guest.computer_name, behaviour.dialect)
        return fault.status, envelope.answer(fault.action, relates_to, body), spoilt

    def _write(self, station: Station, request: Request | None, status: int, spoilt: str | None = None) -> None:
        fields: dict[str, Any] = {"status": status}
        if request is not None:
            fields["action"] = "Identify" if request.is_identify else request.action
            fields["resource_uri"] = request.resource_uri
            query = filter_of(request)
            if query is not None:
                fields["wql"] = query[1]
        if spoilt is not None:
            fields["fault"] = spoilt
        machine = station.machine
        self._audit.write("winrm", machine.id, address=machine.guest.address, machine=machine.name, **fields)


_IN_PLACE = ("wrong_relates_to", "endless_pulls")


async def _name_the_server(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "Microsoft-HTTPAPI/2.0"


def _refused(request: web.Request) -> web.Response | None:
    """What the HTTP layer refuses before anybody looks at the message."""
    if request.path.lower() != _PATH:
        return web.Response(status=404)
    if request.method != "POST":
        return web.Response(status=405, headers={"Allow": "POST"})
    if request.content_type != "application/soap+xml":
        return web.Response(status=415)
    return None


def _nothing(request: web.Request) -> web.Response:
    """No answer: the connection is gone."""
    reset(request)
    return web.Response()


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setblocking(False)
    try:
        listener.bind((address, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise OSError(
            error.errno,
            f"the guest address {address}:{port} cannot be listened on ({error.strerror}); "
            "end the other emulator that uses it or give the fleet other addresses",
        ) from error
    return listener


def _allow_open_files(wanted: int) -> None:
    """Raise the soft limit of open files as far as the hard one lets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, target), hard))


async def start_guests(
    fleet: Fleet,
    ca: trustme.CA,
    audit: Audit,
    clock: EmulatedClock,
    *,
    port: int = PORT,
    before_answer: Callable[[], None] | None = None,
) -> GuestListeners:
    """Start a listener for every guest with WinRM.

    ``before_answer`` is called before anything is answered (the agenda's ``run_due``), so that no guest lags behind
    the clock. End it with ``await listeners.cleanup()``.
    """
    listeners = GuestListeners(fleet, ca, audit, clock, port=port, before_answer=before_answer)
    await listeners.start()
    return listeners
