# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Namespaces, actions and codes of WS-Management as Windows speaks it.

Sources: DSP0226 and DSP0227 (DMTF), MS-WSMV, MS-WSMAN, and the Windows SDK header ``wsmerror.h`` for the codes.
"""

from __future__ import annotations

SOAP = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
ENUMERATION = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
MS_WSMAN = "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd"
CIM = "http://schemas.dmtf.org/wbem/wscim/1/common"
CIM_BINDING = "http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd"
WSMAN_FAULT = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
WMI_ERROR = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/MSFT_WmiError"
IDENTITY = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
ANONYMOUS = f"{ADDRESSING}/role/anonymous"

ENUMERATE = f"{ENUMERATION}/Enumerate"
PULL = f"{ENUMERATION}/Pull"
RELEASE = f"{ENUMERATION}/Release"
GET = f"{TRANSFER}/Get"
CREATE = f"{TRANSFER}/Create"

FAULT_WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault"
FAULT_ENUMERATION = f"{ENUMERATION}/fault"
FAULT_ADDRESSING = f"{ADDRESSING}/fault"

WMI_PREFIX = "http://schemas.microsoft.com/wbem/wsman/1/wmi/"
SHELL_PREFIX = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
POWERSHELL_PREFIX = "http://schemas.microsoft.com/powershell/"
DIALECT_WQL = "http://schemas.microsoft.com/wbem/wsman/1/WQL"

# wsmerror.h
RESOURCE_NOT_FOUND = 0x80338000
ACTION_NOT_SUPPORTED = 0x80338013
HEADER_REQUIRED = 0x80338011
FILTER_DIALECT_UNAVAILABLE = 0x80338019
CANNOT_PROCESS_FILTER = 0x8033801A
INVALID_ENUMERATION_CONTEXT = 0x8033801B
TIMED_OUT = 0x80338029
ENCODING_LIMIT = 0x80338035
INVALID_RESOURCE_URI = 0x8033803B
INVALID_SELECTORS = 0x8033803D
SCHEMA_VALIDATION = 0x80338041
UNSUPPORTED_FEATURE = 0x80338042
INVALID_XML = 0x80338043
KEYS_REQUIRED = 0x803380FA
WMI_PROVIDER_ERROR = 0x80338102
REMOTE_SHELLS_NOT_ALLOWED = 0x803381AC
PULL_DIFFERS_FROM_ENUMERATE = 0x803381AD
ACCESS_DENIED = 5

# WMI status codes (wbemcli.h)
WBEM_NOT_FOUND = 0x80041002
WBEM_ACCESS_DENIED = 0x80041003
WBEM_TYPE_MISMATCH = 0x80041005
WBEM_INVALID_PARAMETER = 0x80041008
WBEM_INVALID_NAMESPACE = 0x8004100E
WBEM_INVALID_CLASS = 0x80041010
WBEM_PROVIDER_LOAD_FAILURE = 0x80041013
WBEM_INVALID_QUERY = 0x80041017
WBEM_INVALID_METHOD = 0x8004102E
WBEM_PRIVILEGE_NOT_HELD = 0x80041062

# Server defaults of Windows Server 2016 and later (winrm/config)
MAX_ENVELOPE_BYTES = 500 * 1024
MAX_TIMEOUT_SECONDS = 60.0
MAX_BATCH_ITEMS = 32000
ENUMERATION_TIMEOUT_SECONDS = 240.0
