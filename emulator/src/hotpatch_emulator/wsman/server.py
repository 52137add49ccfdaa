# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guests' WinRM listeners: https and http per guest at its own loopback address, one HTTP server behind all.

A listener costs a socket and a waiting task; its certificate is made when the first client comes, so hundreds of
guests start at once. A guest is known by the address that the client connected to. While it is down (restarting,
powered off) the connection is reset before TLS begins, and connections from before a restart do not outlive it.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import struct
from collections.abc import Callable, Coroutine
from typing import Any

import trustme
from aiohttp import web

from hotpatch_emulator.audit import Audit
from hotpatch_emulator.clock import EmulatedClock
from hotpatch_emulator.state import Fleet
from hotpatch_emulator.wsman import envelope, kerberos, names, sealing
from hotpatch_emulator.wsman.auth import Connection, Outcome
from hotpatch_emulator.wsman.deeds import Deeds
from hotpatch_emulator.wsman.envelope import Request
from hotpatch_emulator.wsman.faults import SOAP_TYPE, GuestFaults, reset, spoil, spoil_content
from hotpatch_emulator.wsman.ntlm import NegotiateError
from hotpatch_emulator.wsman.operations import filter_of
from hotpatch_emulator.wsman.soap_faults import SoapFault
from hotpatch_emulator.wsman.station import Station

PORT = 5986
HTTP_PORT = 5985
_PATH = "/wsman"
_IDLE_SECONDS = 120.0  # http.sys drops idle connections after two minutes
_HANDSHAKE_SECONDS = 15.0
_WATCH_SECONDS = 0.1
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_SEAL_BYTES = 1024  # what sealing adds to an envelope, at most


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
        http_port: int = HTTP_PORT,
        before_answer: Callable[[], None] | None = None,
    ) -> None:
        self.faults = GuestFaults()
        self.port, self.http_port = port, http_port
        self._audit = audit
        self._before_answer = before_answer or (lambda: None)
        self._stations = {
            machine.guest.address: Station(machine, ca, clock, self.faults, Deeds(machine, fleet, audit, clock))
            for machine in fleet
            if machine.guest.winrm
        }
        application = web.Application(client_max_size=names.MAX_ENVELOPE_BYTES + _SEAL_BYTES)
        application.router.add_route("*", "/{path:.*}", self._handle)
        application.on_response_prepare.append(_name_the_server)
        self._runner = web.AppRunner(
            application, access_log=None, keepalive_timeout=_IDLE_SECONDS, shutdown_timeout=1.0
        )
        self._sockets: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen for every guest with WinRM; OSError names the address that cannot be had."""
        if any("kerberos" in station.guest.winrm_service.authentication for station in self._stations.values()):
            problem = kerberos.missing()
            if problem is not None:
                raise OSError(problem)
        _allow_open_files(4 * len(self._stations) + 512)
        await self._runner.setup()
        try:
            for address, station in self._stations.items():
                service = station.guest.winrm_service
                ports = {self.port: service.https_listener, self.http_port: service.http_listener}
                for port in (port for port, wanted in ports.items() if wanted):
                    listener = _listen(address, port)
                    self._sockets.append(listener)
                    self._spawn(self._accept(listener, station, secure=port == self.port))
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

    async def _accept(self, listener: socket.socket, station: Station, *, secure: bool) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _peer = await loop.sock_accept(listener)
            except OSError:  # out of file descriptors, or the client was gone already
                await asyncio.sleep(0.05)
                continue
            self._before_answer()
            if station.is_up():
                self._spawn(self._serve(connection, station, secure))
            else:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                connection.close()

    async def _serve(self, connection: socket.socket, station: Station, secure: bool) -> None:
        """TLS handshake, on https; from then on the HTTP server owns the connection."""
        server = self._runner.server
        assert server is not None
        tls: dict[str, Any] = (
            {"ssl": station.tls(), "ssl_handshake_timeout": _HANDSHAKE_SECONDS} if secure else {"ssl": None}
        )
        try:
            transport, _protocol = await asyncio.get_running_loop().connect_accepted_socket(server, connection, **tls)
        except OSError:  # also ssl.SSLError: the client does not trust the certificate, or went away
            connection.close()
            return
        station.remember(transport)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        """One HTTP request: who is asking, then what."""
        self._before_answer()
        transport = request.transport
        address = transport.get_extra_info("sockname")[0] if transport else ""
        station = self._stations.get(address)
        if station is None or not station.is_up() or transport is None or transport.is_closing():
            return _nothing(request)
        connection = station.connection(transport)
        if connection is None:
            return _nothing(request)
        refused = _refused(request)
        if refused is not None:
            return refused
        data = await request.read()
        outcome = await connection.authenticate(request.headers.get("Authorization"))
        if transport.is_closing():
            return _nothing(request)
        anonymous = request.headers.get("WSMANIDENTIFY", "").lower() == "unauthenticated"
        if outcome.account is None and not (anonymous and _is_identify(data)):
            return self._refuse(station, outcome)
        response = await self._talk(station, connection, request, data, outcome)
        if outcome.token is not None and not response.prepared:
            response.headers["WWW-Authenticate"] = outcome.token
        return response

    def _refuse(self, station: Station, outcome: Outcome) -> web.Response:
        self._write(station, None, outcome.status)
        headers = [("WWW-Authenticate", challenge) for challenge in outcome.challenges]
        return web.Response(status=outcome.status, headers=headers)

    async def _talk(
        self, station: Station, connection: Connection, request: web.Request, data: bytes, outcome: Outcome
    ) -> web.StreamResponse:
        """Answer somebody who may ask, in the way in which he asked: sealed or not."""
        sealed = request.content_type == sealing.MEDIA_TYPE
        if not data and connection.security is not None:  # a client that only wanted to agree on keys
            self._write(station, None, 200, method=outcome.method)
            return web.Response()
        refusal = None
        if sealed:
            try:
                if connection.security is None:
                    raise NegotiateError("the connection has no security context")
                data = sealing.unseal(connection.security, data)
            except NegotiateError:
                connection.forget()
                refusal = 400
        elif outcome.account is not None and not connection.unsealed_allowed:
            refusal = 500  # without a fault: that is what clients see of "unencrypted traffic is disabled"
        if len(data) > names.MAX_ENVELOPE_BYTES:
            refusal = 413
        if refusal is not None:
            self._write(station, None, refusal, method=outcome.method)
            return web.Response(status=refusal)
        parsed: Request | None = None
        fault: SoapFault | None = None
        try:
            parsed = envelope.parse(data)
        except SoapFault as error:
            fault = error
        status, answer, spoilt = await self._answer(station, parsed, fault, named=outcome.account is not None)
        self._before_answer()
        if not station.is_up() or request.transport is None or request.transport.is_closing():
            return _nothing(request)  # it went down while it was busy answering
        self._write(station, parsed, status, spoilt, method=outcome.method, sealed=sealed)
        headers = {"Content-Type": SOAP_TYPE}
        if spoilt == "forget_session":
            connection.forget()
        elif sealed and connection.security is not None:
            answer = sealing.seal(connection.security, answer)
            headers = {"Content-Type": sealing.CONTENT_TYPE}
        if spoilt is not None and spoilt not in _IN_PLACE:
            return await spoil(spoilt, request, status, answer, headers)
        return web.Response(status=status, body=answer, headers=headers)

    async def _answer(
        self, station: Station, request: Request | None, fault: SoapFault | None, *, named: bool
    ) -> tuple[int, bytes, str | None]:
        """Status, envelope, and the way in which this answer is spoilt, if it is."""
        spoilt = station.behaviour().take_answer()
        status, answer = await self._envelope(station, request, fault, spoilt, named=named)
        account = (station.guest.username, station.guest.password)
        return *spoil_content(spoilt, status, answer, account), spoilt

    @staticmethod
    async def _envelope(
        station: Station, request: Request | None, fault: SoapFault | None, spoilt: str | None, *, named: bool
    ) -> tuple[int, bytes]:
        relates_to = request.message_id if request else ""
        if spoilt == "wrong_relates_to":
            relates_to = "uuid:00000000-0000-0000-0000-000000000000"
        if request is not None and request.is_identify:
            build = f"10.0.{station.guest.os_build}" if named else "0.0.0"
            return 200, envelope.identity(f"OS: {build} SP: 0.0 Stack: 3.0")
        if request is not None:
            try:
                result = await station.service.answer(request)
                return 200, envelope.answer(result.action, relates_to, result.body)
            except SoapFault as error:
                fault = error
        assert fault is not None
        body = fault.body(station.guest.computer_name, station.behaviour().dialect)
        return fault.status, envelope.answer(fault.action, relates_to, body)

    def _write(
        self,
        station: Station,
        request: Request | None,
        status: int,
        spoilt: str | None = None,
        *,
        method: str = "",
        sealed: bool = False,
    ) -> None:
        fields: dict[str, Any] = {"status": status}
        if method:
            fields.update(authentication=method, sealed=sealed)
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


_IN_PLACE = ("wrong_relates_to", "endless_pulls", "doctype", "garbage", "echo")


async def _name_the_server(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "Microsoft-HTTPAPI/2.0"


def _refused(request: web.Request) -> web.Response | None:
    """What the HTTP layer refuses before anybody looks at the message."""
    if request.path.lower() != _PATH:
        return web.Response(status=404)
    if request.method != "POST":
        return web.Response(status=405, headers={"Allow": "POST"})
    if request.body_exists and request.content_type not in ("application/soap+xml", sealing.MEDIA_TYPE):
        return web.Response(status=415)
    return None


def _is_identify(data: bytes) -> bool:
    try:
        return envelope.parse(data).is_identify
    except SoapFault:
        return False


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
    http_port: int = HTTP_PORT,
    before_answer: Callable[[], None] | None = None,
) -> GuestListeners:
    """Start the listeners of every guest with WinRM.

    ``before_answer`` is called before anything is answered (the agenda's ``run_due``), so that no guest lags behind
    the clock. End it with ``await listeners.cleanup()``.
    """
    listeners = GuestListeners(fleet, ca, audit, clock, port=port, http_port=http_port, before_answer=before_answer)
    await listeners.start()
    return listeners
