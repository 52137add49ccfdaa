# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SOAP faults as Windows words them, in the dialects of WinRM 2.0 and 3.0.

A failure that WMI itself reports (bad class, bad query, no access to a namespace) arrives as ``f:WSManFault`` with a
nested provider fault on WinRM 2.0 and as ``p:MSFT_WmiError`` on 3.0 and later; the latter was seen in two namespaces.
Which of the three a guest speaks is a switch (:data:`DIALECTS`).
"""

from __future__ import annotations

from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from hotpatch_emulator.wsman import names

DIALECTS = ("wmi", "wmi_namespaced", "wsman", "subcode_only", "number_only", "omi")
"""``wmi``: MSFT_WmiError in the DMTF namespace; ``wmi_namespaced``: in the WMI namespace's; ``wsman``: WinRM 2.0;
``subcode_only``: a SOAP subcode and nothing else; ``number_only``: WinRM 2.0 without a subcode; ``omi``: Microsoft
OMI's OMI_Error with a CIM status but without an HRESULT (its other fields are inferred from MSFT_WmiError)."""


class SoapFault(Exception):
    """A request that Windows answers with a SOAP fault.

    ``subcode`` is prefixed (a, n, w), ``code`` the number in WSManFault, ``role`` Sender or Receiver.
    """

    def __init__(
        self,
        subcode: str,
        code: int,
        text: str,
        *,
        role: str = "Sender",
        detail: str = "",
        status: int = 500,
        wmi: WmiStatus | None = None,
    ) -> None:
        super().__init__(text)
        self.subcode = subcode
        self.code = code
        self.text = text
        self.role = role
        self.detail = detail
        self.status = status
        self.wmi = wmi

    @property
    def action(self) -> str:
        prefix = self.subcode.partition(":")[0]
        return {"n": names.FAULT_ENUMERATION, "a": names.FAULT_ADDRESSING}.get(prefix, names.FAULT_WSMAN)

    def body(self, machine: str, dialect: str) -> str:
        """The s:Fault element. ``machine`` is the name the guest gives itself."""
        detail = f"<w:FaultDetail>{escape(self.detail)}</w:FaultDetail>" if self.detail else ""
        subcode = f"<s:Subcode><s:Value>{self.subcode}</s:Value></s:Subcode>" if dialect != "number_only" else ""
        if dialect == "subcode_only":
            detail = ""
        elif self.wmi is None:
            detail += _wsman_fault(self.code, machine, escape(self.text))
        elif dialect in ("wsman", "number_only"):
            detail += self.wmi.as_provider_fault(self.code, machine)
        else:
            detail += self.wmi.as_wmi_error(dialect)
        return (
            f"<s:Fault><s:Code><s:Value>s:{self.role}</s:Value>{subcode}"
            f'</s:Code><s:Reason><s:Text xml:lang="en-US">{escape(self.text)}</s:Text></s:Reason>'
            f"<s:Detail>{detail}</s:Detail></s:Fault>"
        )


def _wsman_fault(code: int, machine: str, message: str) -> str:
    """``message`` is XML already."""
    return (
        f'<f:WSManFault xmlns:f="{names.WSMAN_FAULT}" Code="{code}" Machine={quoteattr(machine)}>'
        f"<f:Message>{message}</f:Message></f:WSManFault>"
    )


@dataclass(frozen=True)
class WmiStatus:
    """What WMI said: its HRESULT and words, and the operation that failed."""

    hresult: int
    message: str
    cim_status: int
    category: int
    namespace: str
    operation: str = ""
    parameter: str = ""

    def as_wmi_error(self, dialect: str) -> str:
        """p:MSFT_WmiError of WinRM 3.0, or OMI's counterpart."""
        if dialect == "omi":
            return (
                f'<p:OMI_Error b:IsCIM_Error="true" xmlns:xsi="{names.XSI}" xmlns:b="{names.CIM_BINDING}" '
                f'xmlns:p="{names.WMI_ERROR.replace("MSFT_WmiError", "OMI_Error")}" xmlns:cim="{names.CIM}">'
                + _typed("CIMStatusCode", "UnsignedInt", self.cim_status)
                + _typed("Message", "String", self.message)
                + "</p:OMI_Error>"
            )
        own = f"{names.WMI_PREFIX}{self.namespace}/MSFT_WmiError"
        namespace = own if dialect == "wmi_namespaced" else names.WMI_ERROR
        fields = (
            _typed("CIMStatusCode", "UnsignedInt", self.cim_status),
            _typed("CIMStatusCodeDescription", "String", None),
            _typed("ErrorSource", "String", None),
            _typed("ErrorSourceFormat", "UnsignedShort", 0),
            _typed("ErrorType", "UnsignedShort", 0),
            _typed("Message", "String", self.message),
            _typed("MessageID", "String", f"HRESULT 0x{self.hresult:08x}"),
            _typed("OtherErrorSourceFormat", "String", None),
            _typed("OtherErrorType", "String", None),
            _typed("OwningEntity", "String", None),
            _typed("PerceivedSeverity", "UnsignedShort", 0),
            _typed("ProbableCause", "UnsignedShort", 0),
            _typed("ProbableCauseDescription", "String", None),
            _typed("error_Category", "UnsignedInt", self.category),
            _typed("error_Code", "UnsignedInt", self.hresult),
            _typed("error_Type", "String", "HRESULT"),
            _typed("error_WindowsErrorMessage", "String", self.message),
        )
        return (
            f'<p:MSFT_WmiError b:IsCIM_Error="true" xmlns:xsi="{names.XSI}" xmlns:b="{names.CIM_BINDING}" '
            f'xmlns:p="{namespace}" xmlns:cim="{names.CIM}" xsi:type="p:MSFT_WmiError_Type">'
            + "".join(fields)
            + "</p:MSFT_WmiError>"
        )

    def as_provider_fault(self, code: int, machine: str) -> str:
        """f:WSManFault of WinRM 2.0 with the provider's own fault and WMI's __ExtendedStatus inside."""
        status_uri = f"{names.WMI_PREFIX}{self.namespace}/__ExtendedStatus"
        extended = (
            f'<f:ExtendedError><p:__ExtendedStatus xmlns:p="{status_uri}" xmlns:xsi="{names.XSI}" '
            f'xsi:type="p:__ExtendedStatus_Type"><p:Description xsi:nil="true"/>'
            f"<p:Operation>{escape(self.operation)}</p:Operation>"
            f"<p:ParameterInfo>{escape(self.parameter)}</p:ParameterInfo>"
            "<p:ProviderName>WinMgmt</p:ProviderName></p:__ExtendedStatus></f:ExtendedError>"
        )
        inner = _wsman_fault(code, machine, escape(self.message))
        return _wsman_fault(
            code,
            machine,
            '<f:ProviderFault path="%systemroot%\\system32\\WsmWmiPl.dll" provider="WMI Provider">'
            f"{inner}{extended}</f:ProviderFault>",
        )


def _typed(name: str, cim_type: str, value: object) -> str:
    kind = f'xsi:type="cim:cim{cim_type}"'
    if value is None:
        return f'<p:{name} {kind} xsi:nil="true"/>'
    return f"<p:{name} {kind}>{escape(str(value))}</p:{name}>"


def _cannot_process(text: str) -> str:
    return f"The WS-Management service cannot process the request. {text} "


def wmi_fault(hresult: int, namespace: str, operation: str = "", parameter: str = "") -> SoapFault:
    """The fault for a WMI status code; unknown codes become a plain provider failure."""
    message, cim_status, category, subcode, code, text = _WMI.get(hresult, _WMI[names.WBEM_PROVIDER_LOAD_FAILURE])
    status = WmiStatus(hresult, message, cim_status, category, namespace, operation, parameter)
    role = "Receiver" if subcode == "w:InternalError" else "Sender"
    if subcode == "n:CannotProcessFilter" and operation != "ExecQuery":
        subcode, code, text = "a:DestinationUnreachable", names.RESOURCE_NOT_FOUND, _NOT_FOUND
    return SoapFault(subcode, code, text.format(hresult=hresult), role=role, wmi=status)


_FILTER = (
    "The data source could not process the filter. The filter might be missing or it might be invalid. "
    "Change the filter and try the request again. "
)
_NOT_FOUND = _cannot_process("The service cannot find the resource identified by the resource URI and selectors.")
_PROVIDER = "The WMI service or the WMI provider returned an unknown error: HRESULT 0x{hresult:08x} "

# hresult: message, CIM status (DSP0223), error category (winrm's MI_ErrorCategory), subcode, wsmerror code, reason
_WMI: dict[int, tuple[str, int, int, str, int, str]] = {
    names.WBEM_INVALID_CLASS: (
        "The specified class does not exist in the given namespace. ",
        5, 13, "n:CannotProcessFilter", names.CANNOT_PROCESS_FILTER, _FILTER,
    ),
    names.WBEM_INVALID_QUERY: (
        "Invalid query ", 15, 5, "n:CannotProcessFilter", names.CANNOT_PROCESS_FILTER, _FILTER,
    ),
    names.WBEM_INVALID_NAMESPACE: (
        "Invalid namespace ", 3, 10, "a:DestinationUnreachable", names.WMI_PROVIDER_ERROR, _PROVIDER,
    ),
    names.WBEM_ACCESS_DENIED: (
        "Access denied ", 2, 18, "w:AccessDenied", names.ACCESS_DENIED, "Access is denied. ",
    ),
    names.WBEM_NOT_FOUND: (
        "Not found ", 6, 13, "a:DestinationUnreachable", names.RESOURCE_NOT_FOUND, _NOT_FOUND,
    ),
    names.WBEM_INVALID_PARAMETER: (
        "Invalid parameter ", 4, 5, "w:InvalidParameter", names.WMI_PROVIDER_ERROR, _PROVIDER,
    ),
    names.WBEM_INVALID_METHOD: (
        "Invalid method ", 17, 5, "a:ActionNotSupported", names.WMI_PROVIDER_ERROR, _PROVIDER,
    ),
    names.WBEM_PROVIDER_LOAD_FAILURE: (
        "Provider load failure ", 1, 0, "w:InternalError", names.WMI_PROVIDER_ERROR, _PROVIDER,
    ),
}  # fmt: skip


def invalid_xml(text: str) -> SoapFault:
    return SoapFault("w:SchemaValidationError", names.INVALID_XML, _cannot_process(text), status=400)


def schema_error(text: str) -> SoapFault:
    return SoapFault(
        "w:SchemaValidationError",
        names.SCHEMA_VALIDATION,
        "The SOAP XML in the message does not match the corresponding XML schema definition. "
        f"Change the XML and retry. ({text})",
    )


def header_required(header: str) -> SoapFault:
    text = _cannot_process(f"The request does not contain the required header {header}.")
    return SoapFault("a:MessageInformationHeaderRequired", names.HEADER_REQUIRED, text)


def action_not_supported(action: str) -> SoapFault:
    return SoapFault(
        "a:ActionNotSupported",
        names.ACTION_NOT_SUPPORTED,
        f"The action URI {action} is not supported by the service. ",
    )


def invalid_resource_uri(uri: str) -> SoapFault:
    return SoapFault(
        "a:DestinationUnreachable",
        names.INVALID_RESOURCE_URI,
        _cannot_process(f"The resource URI ({uri}) is missing or it has an incorrect format."),
        detail="http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/InvalidResourceURI",
    )


def no_shell() -> SoapFault:
    return SoapFault(
        "w:AccessDenied",
        names.REMOTE_SHELLS_NOT_ALLOWED,
        _cannot_process("The service is configured to not accept any remote shell requests."),
    )


def filter_dialect(dialect: str) -> SoapFault:
    return SoapFault(
        "n:FilterDialectRequestedUnavailable",
        names.FILTER_DIALECT_UNAVAILABLE,
        "The filter dialect (the type associated with the filter) was not supported for this resource. "
        f"Change the filter dialect or remove it from the request and try the request again. ({dialect})",
    )


def invalid_context() -> SoapFault:
    return SoapFault(
        "n:InvalidEnumerationContext",
        names.INVALID_ENUMERATION_CONTEXT,
        "The WS-Enumeration context in the enumeration is not valid. Enumeration may have been completed or "
        "canceled. You cannot use this enumeration context anymore. Start a new enumeration. ",
        role="Receiver",
    )


def pull_differs() -> SoapFault:
    return SoapFault(
        "w:InvalidParameter",
        names.PULL_DIFFERS_FROM_ENUMERATE,
        _cannot_process("The parameters of the pull request differ from those of the enumeration request."),
    )


def unsupported_feature(text: str) -> SoapFault:
    return SoapFault(
        "w:UnsupportedFeature",
        names.UNSUPPORTED_FEATURE,
        "The WS-Management service does not support the specified feature. "
        f"Remove the unsupported feature from the request and retry. ({text})",
    )


def keys_required() -> SoapFault:
    return SoapFault(
        "w:InvalidSelectors",
        names.KEYS_REQUIRED,
        "The WMI provider cannot find the instance: the class is no singleton, give the keys as selectors. ",
        detail="http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/InsufficientSelectors",
    )


def invalid_selectors(name: str) -> SoapFault:
    return SoapFault(
        "w:InvalidSelectors",
        names.INVALID_SELECTORS,
        _cannot_process(f"The selector {name} is not valid for this resource."),
        detail="http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/UnexpectedSelectors",
    )


def encoding_limit(limit: int) -> SoapFault:
    return SoapFault(
        "w:EncodingLimit",
        names.ENCODING_LIMIT,
        f"The response exceeds the maximum envelope size of {limit} bytes. Change it and try the request again. ",
        detail="http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/MaxEnvelopeSize",
    )


def timed_out() -> SoapFault:
    return SoapFault(
        "w:TimedOut",
        names.TIMED_OUT,
        "The WS-Management service cannot complete the operation within the time specified in OperationTimeout. ",
        role="Receiver",
    )
