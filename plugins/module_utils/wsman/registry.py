# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry through WMI's StdRegProv: reads are a value, absent or unreadable with the reason; writes raise.

StdRegProv does not fault: it answers a ReturnValue, a Win32 error or an HRESULT. Only 1 and 2 mean that the value or
its key is not there. The outputs of EnumKey are known from captured Windows traffic; those of GetDWORDValue and
GetStringValue from clients that parse them in production (jWSMV, Network Optix, asyncwinrm): inferred.
There is no read of several values at once, and the 64-bit view answers. CreateKey, SetDWORDValue and SetStringValue
follow Microsoft's StdRegProv reference and have no captured traffic either: inferred, so a write is read back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from ..domain.facts import Fact
from .cim import CimSession, Row, then
from .faults import BadAnswer, WsmanError

T = TypeVar("T")

NAMESPACE = "root/cimv2"
CLASS = "StdRegProv"
#: HKEY_LOCAL_MACHINE, as StdRegProv wants it.
HKLM = "2147483650"

#: Registry types, as EnumValues numbers them.
SZ, EXPAND_SZ, DWORD = 1, 2, 4

_REFUSALS = {
    5: "access to it is denied",
    6: "the registry hive is not valid",
    0x80041003: "access to it is denied",
    0x80041005: "it has another type",
}


def read_dword(session: CimSession, key: str, name: str) -> Fact[int]:
    """Read a REG_DWORD below HKEY_LOCAL_MACHINE."""
    return then(_call(session, "GetDWORDValue", key, name), lambda row: _given(row.integer("uValue", 0, 2**32 - 1)))


def read_string(session: CimSession, key: str, name: str) -> Fact[str]:
    """Read a REG_SZ below HKEY_LOCAL_MACHINE."""
    return then(_call(session, "GetStringValue", key, name), lambda row: _given(row.text("sValue")))


def read_strings(session: CimSession, key: str, name: str) -> Fact[tuple[str, ...]]:
    """Read a REG_MULTI_SZ below HKEY_LOCAL_MACHINE."""
    return then(_call(session, "GetMultiStringValue", key, name), lambda row: _given(row.texts("sValue")))


def list_values(session: CimSession, key: str) -> Fact[Mapping[str, int]]:
    """List the values of a key by name, each with the number of its registry type (:data:`SZ`, :data:`DWORD` ...)."""

    def values(row: Row) -> Fact[Mapping[str, int]]:
        names, types = row.texts("sNames"), row.texts("Types")
        if names.is_absent and types.is_absent:
            return Fact.of({})  # an empty array is left out
        if names.value is None or types.value is None or len(names.value) != len(types.value):
            return Fact.unreadable(f"HKLM\\{key}: the names of its values do not fit their types")
        if not all(kind.isdecimal() for kind in types.value):
            return Fact.unreadable(f"HKLM\\{key}: the types of its values are not numbers")
        return Fact.of(dict(zip(names.value, (int(kind) for kind in types.value))))

    return then(_call(session, "EnumValues", key), values)


def list_keys(session: CimSession, key: str) -> Fact[tuple[str, ...]]:
    """List the names of the keys directly below one; the empty tuple if there are none."""

    def names(row: Row) -> Fact[tuple[str, ...]]:
        found = row.texts("sNames")
        # Windows leaves empty arrays out, so no names under a key that exists means just that.
        return Fact.of(()) if found.is_absent else found

    return then(_call(session, "EnumKey", key), names)


def write_value(session: CimSession, key: str, name: str, value: int | str) -> None:
    """Set a REG_DWORD or REG_SZ below HKEY_LOCAL_MACHINE, and make its key where there is none.

    :raises WsmanError: the guest did not answer, or refused it; nothing tells then whether it was done.
    """
    made = _call(session, "CreateKey", key)
    if not made.known:
        raise BadAnswer(made.why)
    method, parameter = ("SetDWORDValue", "uValue") if isinstance(value, int) else ("SetStringValue", "sValue")
    written = _call(session, method, key, name, {parameter: str(value)})
    if not written.known:
        raise BadAnswer(written.why)


def _given(fact: Fact[T]) -> Fact[T]:
    """After a success the value must be there: StdRegProv has a return value of its own for a missing one."""
    return Fact.unreadable(f"StdRegProv reported success without a value ({fact.why})") if fact.is_absent else fact


def _call(
    session: CimSession, method: str, key: str, name: str | None = None, more: Mapping[str, str] | None = None
) -> Fact[Row]:
    """Return the outputs of a call that succeeded."""
    verb = "read" if more is None and method != "CreateKey" else "written"
    where = f"HKLM\\{key}" + ("" if name is None else f" value {name}")
    arguments = {"hDefKey": HKLM, "sSubKeyName": key}
    if name is not None:
        arguments["sValueName"] = name
    arguments.update(more or {})
    try:
        outputs = session.invoke(NAMESPACE, CLASS, method, arguments)
    except WsmanError as error:
        return Fact.unreadable(f"{where} could not be {verb}: {error.why}")
    code = outputs.integer("ReturnValue", -(2**31), 2**32 - 1)
    if not code.known or code.value is None:
        return Fact.unreadable(f"{where} could not be {verb}: the answer carries no usable return value ({code.why})")
    number = code.value & 0xFFFFFFFF
    if number == 0:
        return Fact.of(outputs)
    if number in (1, 2):
        return Fact.absent(f"{where} does not exist")
    reason = _REFUSALS.get(number, "StdRegProv failed")
    return Fact.unreadable(f"{where} could not be {verb}: {reason} (return value {number})")
