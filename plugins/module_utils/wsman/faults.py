# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong while asking a guest, as exceptions whose text is one sentence for a human.

Windows reports one and the same fault in three dialects: as a SOAP subcode (WinRM 3.0 and newer), as a
number in ``WSManFault/@Code`` (WinRM 2.0) and as an HRESULT inside ``MSFT_WmiError`` (WMI's own errors).
:func:`classify` looks at all of them. Sources of the numbers: MS-WSMV, winerror.h, wbemcli.h, and the
captures published with pywinrm, WinRb and txwinrm.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

#: The longest piece of a guest's own words that is passed on to the user.
MAX_WORDS = 300


class WsmanError(Exception):
    """A guest could not be asked, or its answer could not be used. ``why`` is one clear sentence."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why

    def add(self, hint: str) -> None:
        """Append a hint to the sentence."""
        self.why = f"{self.why}; {hint}"
        self.args = (self.why,)


class Unreachable(WsmanError):
    """The guest did not answer: no connection, untrusted TLS, refused credentials, or the time ran out."""


class DeadlinePassed(Unreachable):
    """The total time allowed for this guest is over; nothing more may be sent."""


class BudgetSpent(WsmanError):
    """The allowed number of round trips is used up; nothing more may be sent."""


class BadAnswer(WsmanError):
    """The answer is not what WS-Management promises: malformed, too large, or to somebody else's question."""


class WsmanFault(WsmanError):
    """The guest answered with a SOAP fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.sentence())
        self.fault = fault

    @property
    def kind(self) -> str:
        """One of the keys of :data:`MEANINGS`."""
        return self.fault.kind


#: What each kind of fault means for the user.
MEANINGS: Mapping[str, str] = {
    "access_denied": "the account may not read this; grant it Remote Enable and Execute Methods on the WMI namespace",
    "bad_namespace": "the WMI namespace does not exist on this guest",
    "bad_class": "the WMI class or method does not exist on this guest",
    "bad_query": "the guest could not process the WQL query",
    "not_found": "the guest has no such resource or instance",
    "not_supported": "the guest does not support this request",
    "timed_out": "the guest did not finish the read within the WS-Management operation timeout",
    "quota": "the guest's WinRM quota is used up",
    "too_large": "the answer does not fit the envelope size that the guest allows",
    "provider": "a WMI provider in the guest failed; its WMI repository may be damaged",
    "context_lost": "the guest forgot the enumeration that was under way",
    "other": "the guest answered with a fault",
}

# An HRESULT of WMI says more than the SOAP wrapping around it, so it is looked at first.
_BY_HRESULT: Mapping[int, str] = {
    0x80041003: "access_denied",
    0x80070005: "access_denied",
    0x8004100E: "bad_namespace",
    0x80041010: "bad_class",
    0x80041055: "bad_class",  # WBEM_E_METHOD_NOT_IMPLEMENTED
    0x8004102E: "bad_class",  # WBEM_E_INVALID_METHOD
    0x80041017: "bad_query",
    0x80041002: "not_found",
    0x8004100C: "not_supported",
    0x80041004: "provider",
    0x80041011: "provider",
    0x80041013: "provider",
    0x8004106C: "quota",  # WBEM_E_QUOTA_VIOLATION
}

_BY_CODE: Mapping[int, str] = {
    5: "access_denied",
    0x80338000: "not_found",
    0x8033801A: "bad_query",
    0x80338029: "timed_out",
    0x80338048: "too_large",
    0x803380E3: "context_lost",
    0x803380FA: "not_supported",
    0x80338102: "provider",
    0x803381A5: "quota",
    0x803381A6: "quota",
}

_BY_SUBCODE: Mapping[str, str] = {
    "accessdenied": "access_denied",
    "cannotprocessfilter": "bad_query",
    "filterdialectrequestedunavailable": "not_supported",
    "filteringnotsupported": "not_supported",
    "destinationunreachable": "not_found",
    "endpointunavailable": "not_found",
    "invalidresourceuri": "not_found",
    "actionnotsupported": "not_supported",
    "unsupportedfeature": "not_supported",
    "timedout": "timed_out",
    "quotalimit": "quota",
    "encodinglimit": "too_large",
    "invalidenumerationcontext": "context_lost",
    "unabletorenew": "context_lost",
    "internalerror": "provider",
}

# CIM status codes (DMTF DSP0223), for servers that give nothing better.
_BY_STATUS: Mapping[int, str] = {
    2: "access_denied",
    3: "bad_namespace",
    5: "bad_class",
    6: "not_found",
    7: "not_supported",
    14: "not_supported",
    15: "bad_query",
    16: "bad_class",
    17: "bad_class",
}

_MISSING_CLASS_WORDS = ("class does not exist", "invalid class")


@dataclass(frozen=True)
class Fault:
    """A SOAP fault as the guest worded it, already cut to a printable length.

    ``codes`` are the numbers of all nested WSManFault elements, outermost first; ``hresults`` those found in
    MSFT_WmiError or ``__ExtendedStatus``; ``subcodes`` SOAP subcodes without their prefix; ``statuses`` the
    CIMStatusCodes of MSFT_WmiError or Microsoft OMI's OMI_Error.
    """

    subcodes: tuple[str, ...] = ()
    codes: tuple[int, ...] = ()
    hresults: tuple[int, ...] = ()
    words: str = ""
    statuses: tuple[int, ...] = ()

    @property
    def kind(self) -> str:
        """The kind of fault, one of the keys of :data:`MEANINGS`."""
        return classify(self.subcodes, self.codes, self.hresults, self.words, self.statuses)

    def sentence(self) -> str:
        """Say what the fault means, then its numbers and the guest's own words."""
        marks = [*self.subcodes, *(f"0x{code:08X}" for code in dict.fromkeys((*self.codes, *self.hresults)))]
        text = MEANINGS[self.kind]
        if marks:
            text += f" ({', '.join(marks)})"
        return f"{text}: {self.words}" if self.words else text


def classify(
    subcodes: Iterable[str],
    codes: Iterable[int],
    hresults: Iterable[int],
    words: str = "",
    statuses: Iterable[int] = (),
) -> str:
    """Name the kind of a fault from whichever dialect the guest speaks; ``other`` when none is known."""
    numbers = [*hresults, *codes]
    kinds = [_BY_HRESULT[number] for number in numbers if number in _BY_HRESULT]
    kinds += [_BY_CODE[code] for code in codes if code in _BY_CODE]
    kinds += [_BY_STATUS[status] for status in statuses if status in _BY_STATUS]
    kinds += [_BY_SUBCODE[name.lower()] for name in subcodes if name.lower() in _BY_SUBCODE]
    if not kinds:
        return "other"
    # Windows answers an unknown class in WQL with the same code as a query with bad grammar.
    if kinds[0] == "bad_query" and any(hint in words.lower() for hint in _MISSING_CLASS_WORDS):
        return "bad_class"
    return kinds[0]


def printable(text: str, limit: int = MAX_WORDS) -> str:
    """Make a guest's words safe to print: one line, no control characters, at most ``limit`` characters."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text[: 4 * limit]).split())
    return line if len(line) <= limit else line[: limit - 3] + "..."
