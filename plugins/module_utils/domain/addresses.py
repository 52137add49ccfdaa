# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The IP addresses of a machine, put together from its network interfaces and their public addresses.

Resource Graph leaves out what the caller may not read, so a machine whose interface is not shown has unreadable
addresses, not none. Shapes: Microsoft.Network's OpenAPI of networkInterfaces and publicIPAddresses, 2024-05.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .arm import section, text
from .facts import Fact


@dataclass(frozen=True)
class Interface:
    """One network interface: its private addresses, and the IDs (lower case) of its public ones."""

    private: tuple[str, ...]
    public_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Addresses:
    """What is known of a machine's addresses, the primary interface's first.

    Each is absent where everything was read and there is none, unreadable where a part was not shown. A fact with a
    value may still say in ``why`` that more was not shown.
    """

    private: Fact[tuple[str, ...]]
    public: Fact[tuple[str, ...]]


NOT_ASKED = Addresses(Fact.unreadable("addresses were not asked for"), Fact.unreadable("addresses were not asked for"))


@dataclass
class Network:
    """Interfaces and public addresses by ID in lower case; a public address that is not assigned yet is None."""

    interfaces: dict[str, Interface] = field(default_factory=dict)
    public: dict[str, str | None] = field(default_factory=dict)

    def learn_interfaces(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take rows with the columns ``id`` and ``configurations`` (the interface's ipConfigurations)."""
        for row in rows:
            self.interfaces[str(row.get("id") or "").lower()] = _interface(row.get("configurations"))

    def learn_public(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take rows with the columns ``id`` and ``address``."""
        for row in rows:
            self.public[str(row.get("id") or "").lower()] = text(row, "address")

    def of(self, interface_ids: Iterable[str]) -> Addresses:
        """Return the addresses of a machine with these interfaces."""
        private: list[str] = []
        public: list[str] = []
        unseen: list[str] = []
        unseen_public: list[str] = []
        for identifier in interface_ids:
            interface = self.interfaces.get(identifier.lower())
            if interface is None:
                unseen.append(f"Resource Graph does not show the network interface {identifier.rpartition('/')[2]}")
                continue
            private += interface.private
            for public_id in interface.public_ids:
                if public_id not in self.public:
                    name = public_id.rpartition("/")[2]
                    unseen_public.append(f"Resource Graph does not show the public address {name}")
                elif found := self.public[public_id]:
                    public.append(found)
        return Addresses(_fact(private, unseen), _fact(public, [*unseen, *unseen_public]))


def interfaces_of(profile: Any) -> tuple[str, ...]:
    """Return the IDs in ``networkProfile.networkInterfaces``, the primary one first."""
    listed = [item for item in profile or () if isinstance(item, Mapping) and item.get("id")]
    listed.sort(key=lambda item: section(item, "properties").get("primary") is not True)
    return tuple(str(item["id"]) for item in listed)


def addresses_of_arc(interfaces: Any) -> Addresses:
    """Return the addresses that an Arc-enabled server reports itself; it has no public ones that Azure knows of."""
    found = [
        str(address["address"])
        for interface in interfaces or ()
        if isinstance(interface, Mapping)
        for address in interface.get("ipAddresses") or ()
        if isinstance(address, Mapping) and address.get("address")
    ]
    public: Fact[tuple[str, ...]] = Fact.absent("Azure knows no public addresses of Arc-enabled servers")
    if not found:
        return Addresses(Fact.unreadable("the server's agent has reported no address"), public)
    return Addresses(Fact.of(tuple(found)), public)


def _interface(configurations: Any) -> Interface:
    listed = [section(item, "properties") for item in configurations or () if isinstance(item, Mapping)]
    listed.sort(key=lambda item: item.get("primary") is not True)
    private = [text(item, "privateIPAddress") for item in listed]
    public = [text(section(item, "publicIPAddress"), "id") for item in listed]
    return Interface(tuple(item for item in private if item), tuple(item.lower() for item in public if item))


def _fact(found: list[str], unseen: list[str]) -> Fact[tuple[str, ...]]:
    why = "; ".join(unseen)
    if found:
        return Fact.of(tuple(found), why)
    return Fact.unreadable(why) if unseen else Fact.absent()
