# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""CIM classes and their instances, written as Windows writes them in WS-Management answers.

Two forms, as captured from Windows servers: ``select *`` and Get give typed rows whose children carry the class's
namespace; a projection gives ``w:XmlFragment`` rows with unqualified children and no class name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Union

from hotpatch_emulator.wsman import names
from hotpatch_emulator.wsman.envelope import text
from hotpatch_emulator.wsman.shapes import WINDOWS, Shape

if TYPE_CHECKING:
    from hotpatch_emulator.state import Guest
    from hotpatch_emulator.wsman.deeds import Deeds

Value = Union[None, str, bool, int, datetime, "tuple[str | int, ...]"]
Instance = Mapping[str, Value]
"""One row: property name, as the class spells it, to value. Every property of the class is present."""


@dataclass(frozen=True)
class Source:
    """What a property is read from. ``now`` is true emulated UTC, ``item`` what the class has an instance for."""

    guest: Guest
    now: datetime
    item: Any


@dataclass(frozen=True)
class Call:
    """A call of a method: in parameters by lower-case name, registry keys (lower case) that are closed, and registry
    values (lower case) that are answered with a return value of their own.

    ``deeds`` is what a method may do to the guest; ``reboot`` how it takes being restarted, see faults.REBOOTS.
    """

    guest: Guest
    arguments: Mapping[str, list[str]]
    denied_keys: frozenset[str] = frozenset()
    return_values: Mapping[str, int] = field(default_factory=dict)
    deeds: Deeds | None = None
    reboot: str = "answers"

    def one(self, name: str, default: str) -> str:
        """The value of a parameter that is no array."""
        values = self.arguments.get(name.lower())
        return values[0] if values else default


Method = Callable[[Call], Mapping[str, Value]]
"""A static method: what it is called with, to the out parameters."""

Property = Value | Callable[[Source], Value]


def _one_item(_guest: Guest) -> Iterable[Any]:
    return (None,)


@dataclass(frozen=True)
class CimClass:
    """A WMI class: its properties in WMI's order, each a constant or a function of the guest's state.

    ``items`` gives what there is an instance for. ``methods`` are static methods by lower-case name; each entry
    carries the name as Windows spells it. A class without properties has no instances.
    """

    namespace: str
    name: str
    properties: Mapping[str, Property] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    singleton: bool = False
    items: Callable[[Guest], Iterable[Any]] = _one_item
    methods: Mapping[str, tuple[str, Method]] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        return f"{names.WMI_PREFIX}{self.namespace}/{self.name}"

    def instances(self, guest: Guest, now: datetime) -> Iterator[Instance]:
        """Every instance, whole."""
        if not self.properties:
            return
        for item in self.items(guest):
            source = Source(guest, now, item)
            yield {name: value(source) if callable(value) else value for name, value in self.properties.items()}


def elements(prefix: str, datetime_tag: str, values: Iterable[tuple[str, Value]], shape: Shape = WINDOWS) -> str:
    """Properties as child elements. NULL is xsi:nil, an array repeats its element, an empty array is left out."""
    parts = []
    for name, value in values:
        tag = f"{prefix}{name}"
        if value is None:
            if shape.null == "nil":
                parts.append(f'<{tag} xsi:nil="true"/>')
        elif isinstance(value, tuple):
            parts.extend(f"<{tag}>{_scalar(item, shape)}</{tag}>" for item in value)
        elif isinstance(value, datetime):
            moment = shape.moment(value)
            inner = moment if shape.dates == "text" else f"<{datetime_tag}>{moment}</{datetime_tag}>"
            parts.append(f"<{tag}>{inner}</{tag}>")
        else:
            parts.append(f"<{tag}>{_scalar(value, shape)}</{tag}>")
    return "".join(parts)


def _scalar(value: str | int | bool, shape: Shape) -> str:
    return shape.boolean(value) if isinstance(value, bool) else text(str(value))


def typed_row(cim_class: CimClass, instance: Instance, shape: Shape = WINDOWS) -> str:
    """A whole instance in its class's namespace."""
    children = elements("p:", "cim:Datetime", ((name, instance[name]) for name in cim_class.properties), shape)
    return (
        f'<p:{cim_class.name} xmlns:xsi="{names.XSI}" xmlns:p="{cim_class.uri}" xmlns:cim="{names.CIM}" '
        f'xsi:type="p:{cim_class.name}_Type">{children}</p:{cim_class.name}>'
    )


def fragment_row(cim_class: CimClass, instance: Instance, wanted: Iterable[str], shape: Shape = WINDOWS) -> str:
    """A projection: the wanted properties in the class's order and spelling."""
    lower = {name.lower() for name in wanted}
    chosen = ((name, instance[name]) for name in cim_class.properties if name.lower() in lower)
    return (
        f'<w:XmlFragment xmlns:xsi="{names.XSI}" xmlns:w="{names.WSMAN}">'
        + elements("", "Datetime", chosen, shape)
        + "</w:XmlFragment>"
    )


def method_output(cim_class: CimClass, method: str, output: Mapping[str, Value], shape: Shape = WINDOWS) -> str:
    """<Method>_OUTPUT with the out parameters; ReturnValue comes last."""
    name = method if shape.output == "method" else cim_class.name
    return (
        f'<p:{name}_OUTPUT xmlns:xsi="{names.XSI}" xmlns:p="{cim_class.uri}" xmlns:cim="{names.CIM}">'
        + elements("p:", "cim:Datetime", output.items(), shape)
        + f"</p:{name}_OUTPUT>"
    )
