# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What errors of Windows Update mean, as far as Azure Update Manager's troubleshooting page explains them (2024)."""

from __future__ import annotations

import re
from collections.abc import Mapping

_NETWORK = "the network stands between the machine and its update source; check proxy, firewall and name resolution"

MEANINGS: Mapping[int, str] = {
    0x8024402C: _NETWORK,
    0x8024401C: _NETWORK,
    0x8024402F: _NETWORK,
    0x8024001E: "the Windows Update service was shutting down; try again",
    0x8024002E: "Windows Update is disabled on this machine, by policy or because its service is",
    0x80072EE2: "the update source did not answer in time; check the network, and the WSUS server if there is one",
    0x80070422: "the service wuauserv is disabled; set its start mode to Manual",
    0x80070005: "access was denied",
}

_HRESULT = re.compile(r"0x[0-9a-fA-F]{8}")


def hresult_in(text: str) -> str:
    """Return the HRESULT that the text is, as ``0x80072EE2``; empty when it is none. Decimal ones are known, too."""
    text = text.strip()
    if _HRESULT.fullmatch(text):
        return f"0x{int(text, 16):08X}"
    if re.fullmatch(r"-?[0-9]{9,10}", text) and int(text) & 0x80000000:
        return f"0x{int(text) & 0xFFFFFFFF:08X}"
    return ""


def meaning(hresult: str) -> str:
    """Return what an HRESULT such as ``0x80072EE2`` means; empty when no source says."""
    return MEANINGS.get(int(hresult, 16), "") if _HRESULT.fullmatch(hresult) else ""
