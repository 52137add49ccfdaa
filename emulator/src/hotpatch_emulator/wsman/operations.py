# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""WS-Management operations of one guest: Enumerate, Pull, Release, Get, Invoke, Identify.

No shell is ever opened: this is a Windows whose remote shells are switched off, as the product must manage without.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from hotpatch_emulator.wsman import cim, names, providers, soap_faults, wql
from hotpatch_emulator.wsman.cim import Call, CimClass
from hotpatch_emulator.wsman.enumeration import Enumerations, Portion
from hotpatch_emulator.wsman.envelope import Request
from hotpatch_emulator.wsman.faults import Behaviour
from hotpatch_emulator.wsman.shapes import Shape
from hotpatch_emulator.wsman.soap_faults import wmi_fault

if TYPE_CHECKING:
    from hotpatch_emulator.state import Guest
    from hotpatch_emulator.wsman.deeds import Deeds

_NO_CONTEXT = "<n:EnumerationContext></n:EnumerationContext>"
_NIL = f"{{{names.XSI}}}nil"


@dataclass(frozen=True)
class Answer:
    """What goes into the envelope: the action and the body's XML."""

    action: str
    body: str


def filter_of(request: Request) -> tuple[str, str] | None:
    """Dialect and text of an Enumerate request's filter."""
    if request.body is None:
        return None
    node = request.body.find(f"{{{names.WSMAN}}}Filter")
    return None if node is None else (node.get("Dialect", ""), (node.text or "").strip())


class Service:
    """The WinRM service of one guest, for as long as it stays up."""

    def __init__(
        self,
        guest: Guest,
        now: Callable[[], datetime],
        behaviour: Callable[[], Behaviour],
        deeds: Deeds | None = None,
    ) -> None:
        self._deeds = deeds
        self._guest = guest
        self._now = now
        self._behaviour = behaviour
        self._enumerations = Enumerations()

    async def answer(self, request: Request) -> Answer:
        """Carry out a request; raises SoapFault for what Windows answers with one."""
        uri = request.resource_uri
        if uri.lower().startswith((names.SHELL_PREFIX, names.POWERSHELL_PREFIX)):
            raise soap_faults.no_shell()
        namespace, class_name = _split(uri)
        if namespace.lower() in self._behaviour().denied_namespaces:
            raise wmi_fault(names.WBEM_ACCESS_DENIED, namespace, "ConnectServer")
        missing = namespace.lower() in self._behaviour().missing_namespaces
        if missing or not providers.has_namespace(self._guest, namespace):
            raise wmi_fault(names.WBEM_INVALID_NAMESPACE, namespace, "ConnectServer", namespace)
        if request.action == names.ENUMERATE:
            return await self._enumerate(request, namespace, class_name)
        if request.action == names.PULL:
            return self._pull(request)
        if request.action == names.RELEASE:
            body = _body(request, "Release")
            self._enumerations.release(_text(body, names.ENUMERATION, "EnumerationContext"))
            return Answer(names.RELEASE + "Response", "")
        if request.action == names.GET:
            return await self._get(request, namespace, class_name)
        if request.action.lower().startswith(uri.lower() + "/"):
            return await self._invoke(request, namespace, class_name, request.action[len(uri) + 1 :])
        raise soap_faults.action_not_supported(request.action)

    async def _ready(self, cim_class: CimClass, what: str, request: Request) -> None:
        """Wait as long as this class or method is scripted to take; past the operation's time-out it is a fault."""
        behaviour = self._behaviour()
        if behaviour.broken_classes & {cim_class.name.lower(), "*"}:
            raise wmi_fault(names.WBEM_PROVIDER_LOAD_FAILURE, cim_class.namespace, what, cim_class.name)
        seconds = max(behaviour.slow.get(cim_class.name.lower(), 0.0), behaviour.slow.get(what.lower(), 0.0))
        await asyncio.sleep(min(seconds, request.operation_timeout))
        if seconds > request.operation_timeout:
            raise soap_faults.timed_out()

    async def _enumerate(self, request: Request, namespace: str, class_name: str) -> Answer:
        body = _body(request, "Enumerate")
        mode = _text(body, names.WSMAN, "EnumerationMode")
        if mode not in ("", "EnumerateObject"):
            raise soap_faults.unsupported_feature(f"EnumerationMode {mode}")
        cim_class, query = self._query(request, namespace, class_name)
        await self._ready(cim_class, "ExecQuery", request)
        instances = cim_class.instances(self._guest, self._now())
        if query is not None:
            matches = query.matches
            instances = (row for row in instances if matches({name.lower(): row[name] for name in row}))
        wanted = query.properties if query else None
        shape = self._behaviour().shape
        if wanted is not None and shape.rows == "refused":
            raise wmi_fault(names.WBEM_INVALID_QUERY, namespace, "ExecQuery", cim_class.name)
        whole = wanted is None or shape.rows == "full"
        portion = self._enumerations.start(
            request.resource_uri,
            (
                cim.typed_row(cim_class, row, shape) if whole else cim.fragment_row(cim_class, row, wanted or (), shape)
                for row in instances
            ),
            optimized=body.find(f"{{{names.WSMAN}}}OptimizeEnumeration") is not None,
            max_elements=_max_elements(_text(body, names.WSMAN, "MaxElements")),
            max_bytes=request.max_envelope_size,
            endless=self._behaviour().answer == "endless_pulls",
            paging=shape.paging,
        )
        return Answer(names.ENUMERATE + "Response", _enumerate_response(portion, shape))

    def _query(self, request: Request, namespace: str, class_name: str) -> tuple[CimClass, wql.Query | None]:
        """The class that is asked for, and the parsed filter if there is one."""
        given = filter_of(request)
        if given is None:
            return self._class(namespace, class_name, "CreateInstanceEnum"), None
        dialect, text = given
        if dialect != names.DIALECT_WQL:
            raise soap_faults.filter_dialect(dialect)
        if class_name != "*":
            raise soap_faults.invalid_resource_uri(request.resource_uri)
        try:
            query = wql.parse(text)
            cim_class = self._class(namespace, query.class_name, "ExecQuery", text)
            query.check(cim_class.properties)
        except wql.InvalidQuery as error:
            raise wmi_fault(names.WBEM_INVALID_QUERY, namespace, "ExecQuery", text) from error
        return cim_class, query

    @staticmethod
    def _class(namespace: str, name: str, operation: str, parameter: str = "") -> CimClass:
        cim_class = providers.find(namespace, name)
        if cim_class is None:
            raise wmi_fault(names.WBEM_INVALID_CLASS, namespace, operation, parameter or name)
        return cim_class

    def _pull(self, request: Request) -> Answer:
        body = _body(request, "Pull")
        portion = self._enumerations.pull(
            _text(body, names.ENUMERATION, "EnumerationContext"),
            request.resource_uri,
            1
            if self._behaviour().shape.paging == "one_each"
            else _max_elements(_text(body, names.ENUMERATION, "MaxElements")),
            request.max_envelope_size,
        )
        return Answer(names.PULL + "Response", _pull_response(portion, self._behaviour().shape))

    async def _get(self, request: Request, namespace: str, class_name: str) -> Answer:
        cim_class = self._class(namespace, class_name, "GetObject")
        await self._ready(cim_class, "GetObject", request)
        selectors = {name.lower(): value for name, value in request.selectors.items() if name != "__cimnamespace"}
        keys = {key.lower(): key for key in cim_class.keys}
        for name in selectors:
            if name not in keys:
                raise soap_faults.invalid_selectors(name)
        if len(selectors) < len(keys) and (selectors or not cim_class.singleton):
            raise soap_faults.keys_required()
        for row in cim_class.instances(self._guest, self._now()):
            if all(str(row[keys[name]]).lower() == value.lower() for name, value in selectors.items()):
                return Answer(names.GET + "Response", cim.typed_row(cim_class, row, self._behaviour().shape))
        raise wmi_fault(names.WBEM_NOT_FOUND, namespace, "GetObject", class_name)

    async def _invoke(self, request: Request, namespace: str, class_name: str, method: str) -> Answer:
        cim_class = self._class(namespace, class_name, "ExecMethod")
        found = cim_class.methods.get(method.lower())
        if found is None:
            raise wmi_fault(names.WBEM_INVALID_METHOD, namespace, "ExecMethod", method)
        name, call = found
        behaviour = self._behaviour()
        arguments = _arguments(request, method)
        await self._ready(cim_class, name, request)
        made = Call(
            self._guest, arguments, behaviour.denied_keys, behaviour.return_values, self._deeds, behaviour.reboot
        )
        return Answer(request.action + "Response", cim.method_output(cim_class, name, call(made), behaviour.shape))


def _split(uri: str) -> tuple[str, str]:
    """Namespace and class of a WMI resource URI."""
    rest = uri[len(names.WMI_PREFIX) :]
    namespace, slash, class_name = rest.rpartition("/")
    if not uri.lower().startswith(names.WMI_PREFIX) or not (namespace and slash and class_name):
        raise soap_faults.invalid_resource_uri(uri)
    return namespace, class_name


def _body(request: Request, name: str) -> ET.Element:
    if request.body is None or request.body.tag != f"{{{names.ENUMERATION}}}{name}":
        raise soap_faults.schema_error(f"the body needs wsen:{name}")
    return request.body


def _text(parent: ET.Element, namespace: str, name: str) -> str:
    return (parent.findtext(f"{{{namespace}}}{name}") or "").strip()


def _max_elements(text: str) -> int:
    """One without a number, as WS-Enumeration says; never more than the server's batch."""
    if not text:
        return 1
    if not text.isdecimal() or int(text) < 1:
        raise soap_faults.schema_error(f"MaxElements {text} is not a positive number")
    return min(int(text), names.MAX_BATCH_ITEMS)


def _arguments(request: Request, method: str) -> dict[str, list[str]]:
    """In parameters by lower-case name; every one may be repeated, xsi:nil counts as not given."""
    wanted = f"{{{request.resource_uri}}}{method}_INPUT"
    if request.body is None or request.body.tag.lower() != wanted.lower():
        raise soap_faults.schema_error(f"the body needs {method}_INPUT in the namespace of the resource URI")
    arguments: dict[str, list[str]] = {}
    for child in request.body:
        if child.get(_NIL) not in ("true", "1"):
            arguments.setdefault(child.tag.rpartition("}")[2].lower(), []).append(child.text or "")
    return arguments


def _enumerate_response(portion: Portion, shape: Shape) -> str:
    """By default Items and the end in the WS-Management namespace; the context is there, but empty at the end."""
    inner = _context(portion, shape, empty=True) + _items(portion, shape.prefix(pulling=False))
    return f"<n:EnumerateResponse>{inner}</n:EnumerateResponse>"


def _pull_response(portion: Portion, shape: Shape) -> str:
    """By default Items and the end in the WS-Enumeration namespace; no context at the end."""
    inner = _context(portion, shape, empty=False) + _items(portion, shape.prefix(pulling=True))
    return f"<n:PullResponse>{inner}</n:PullResponse>"


def _context(portion: Portion, shape: Shape, *, empty: bool) -> str:
    if portion.context or shape.end == "with_context":
        context = portion.context or "uuid:00000000-0000-0000-0000-000000000001"
        return f"<n:EnumerationContext>{context}</n:EnumerationContext>"
    return _NO_CONTEXT if empty and shape.end == "empty_context" else ""


def _items(portion: Portion, prefix: str) -> str:
    items = f"<{prefix}:Items>{''.join(portion.rows)}</{prefix}:Items>" if portion.rows else ""
    return items if portion.context else f"{items}<{prefix}:EndOfSequence/>"
