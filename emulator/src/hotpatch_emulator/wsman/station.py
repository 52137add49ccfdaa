# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One guest as its clients meet it: whether it is up, its certificate, its connections, its service since boot."""

from __future__ import annotations

import asyncio
import ssl
import weakref

import trustme

from hotpatch_emulator.clock import EmulatedClock
from hotpatch_emulator.state import Guest, VirtualMachine
from hotpatch_emulator.wsman import auth, certificates
from hotpatch_emulator.wsman.deeds import Deeds
from hotpatch_emulator.wsman.faults import Behaviour, GuestFaults
from hotpatch_emulator.wsman.operations import Service


class Station:
    """One guest's listener: its certificate, its connections, and its service since the last boot."""

    def __init__(
        self, machine: VirtualMachine, ca: trustme.CA, clock: EmulatedClock, faults: GuestFaults, deeds: Deeds
    ) -> None:
        self.machine = machine
        self.service = Service(machine.guest, clock.now, self.behaviour, deeds)
        self._deeds = deeds
        self._ca = ca
        self._clock = clock
        self._faults = faults
        self._context: ssl.SSLContext | None = None
        self._boot = machine.guest.booted_at
        self._binding: bytes | None = None
        self._connections: weakref.WeakKeyDictionary[asyncio.Transport, auth.Connection] = weakref.WeakKeyDictionary()

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
            self.service = Service(self.guest, self._clock.now, self.behaviour, self._deeds)
            self.drop()
        elif not up:
            self.drop()
        return up

    def drop(self) -> None:
        """Reset every connection."""
        for transport in list(self._connections):
            transport.abort()
        self._connections.clear()

    def tls(self) -> ssl.SSLContext:
        """The https listener's certificate; client certificates are asked for where the service takes them."""
        if self._context is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            name = self.guest.winrm_service.certificate_name or self.guest.address
            own = self._ca.issue_cert(name, common_name=self.guest.computer_name)
            own.configure_cert(context)
            if "certificate" in self.guest.winrm_service.authentication:
                self._ca.configure_trust(context)
                context.verify_mode = ssl.CERT_OPTIONAL
                context.post_handshake_auth = True  # with TLS 1.3; with 1.2 it is asked for in the handshake
            self._binding = certificates.end_point_binding(own.cert_chain_pems[0].bytes())
            self._context = context
        return self._context

    @property
    def busy(self) -> bool:
        return bool(self._connections)

    def remember(self, transport: asyncio.Transport) -> None:
        for known in [known for known in self._connections if known.is_closing()]:
            del self._connections[known]
        secure = transport.get_extra_info("ssl_object") is not None
        self._connections[transport] = auth.Connection(self.guest, transport, self._binding if secure else None)

    def connection(self, transport: asyncio.Transport) -> auth.Connection | None:
        """What is known of a connection; None when it has been dropped."""
        return self._connections.get(transport)
