# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for Microsoft's security-update API: documents written here in its form, served by HTTPS on loopback."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import trustme

PRODUCTS = {
    "11923": "Windows Server 2022",
    "11924": "Windows Server 2022 (Server Core installation)",
    "12085": "Windows Server 2022 Azure Edition Core Hotpatch",
    "12244": "Windows Server 2022, 23H2 Edition (Server Core installation)",
    "12389": "Windows 11 Version 24H2 for ARM64-based Systems",
    "12390": "Windows 11 Version 24H2 for x64-based Systems",
    "12436": "Windows Server 2025",
    "12437": "Windows Server 2025 (Server Core installation)",
    "20001": "Microsoft Word 2016 (32-bit edition)",
}
"""Names as a real product tree spells them (document of 2025-06, and one of the names of 2022)."""

WS2022, WS2025, WINDOWS_11 = ["11923", "11924"], ["12437", "12436"], ["12389", "12390"]
HOTPATCH = "Security Hotpatch Update"
CUMULATIVE = "Security Update"


def fix(
    kb: str, build: str, products: list[str], label: str = HOTPATCH, supersedes: str = "", **other: Any
) -> dict[str, Any]:
    """One remediation; ``RestartRequired`` says Yes even of hotpatches, as in the real documents."""
    return {
        "Type": 2,
        "Description": {"Value": kb},
        "URL": f"https://catalog.update.microsoft.com/v7/site/Search.aspx?q=KB{kb}",
        "Supercedence": supersedes,
        "ProductID": products,
        "RestartRequired": {"Value": "Yes"},
        "SubType": label,
        "FixedBuild": build,
        **other,
    }


def document(name: str, day: str, *vulnerabilities: list[dict[str, Any]]) -> dict[str, Any]:
    """A month's document; each of the vulnerabilities is a list of remediations."""
    return {
        "DocumentTitle": {"Value": f"{name} Security Updates"},
        "DocumentTracking": {
            "Identification": {"ID": {"Value": name}, "Alias": {"Value": name}},
            "InitialReleaseDate": f"{day}T07:00:00",
            "CurrentReleaseDate": f"{day}T07:00:00",
        },
        "ProductTree": {"FullProductName": [{"ProductID": key, "Value": value} for key, value in PRODUCTS.items()]},
        "Vulnerability": [
            {"CVE": f"CVE-2026-{number:04}", "Title": {"Value": "x"}, "Remediations": fixes}
            for number, fixes in enumerate(vulnerabilities)
        ],
    }


def as_xml(raw: Mapping[str, Any]) -> bytes:
    """The same document in the XML form of the API."""
    names = (
        f"<prod:FullProductName ProductID={quoteattr(item['ProductID'])}>{escape(item['Value'])}</prod:FullProductName>"
        for item in raw["ProductTree"]["FullProductName"]
    )
    found = "".join(
        f"<vuln:Vulnerability><vuln:Remediations>{''.join(map(_fix_xml, item['Remediations']))}"
        "</vuln:Remediations></vuln:Vulnerability>"
        for item in raw["Vulnerability"]
    )
    tracking = raw["DocumentTracking"]
    return (
        '<cvrf:cvrfdoc xmlns:vuln="http://www.icasi.org/CVRF/schema/vuln/1.1"'
        ' xmlns:prod="http://www.icasi.org/CVRF/schema/prod/1.1" xmlns:cvrf="http://www.icasi.org/CVRF/schema/cvrf/1.1">'
        f"<cvrf:DocumentTitle>{escape(raw['DocumentTitle']['Value'])}</cvrf:DocumentTitle><cvrf:DocumentTracking>"
        f"<cvrf:Identification><cvrf:ID>{tracking['Identification']['ID']['Value']}</cvrf:ID></cvrf:Identification>"
        f"<cvrf:InitialReleaseDate>{tracking['InitialReleaseDate']}</cvrf:InitialReleaseDate></cvrf:DocumentTracking>"
        f'<prod:ProductTree><prod:Branch Type="Vendor">{"".join(names)}</prod:Branch></prod:ProductTree>'
        f"{found}</cvrf:cvrfdoc>"
    ).encode()


def _fix_xml(raw: Mapping[str, Any]) -> str:
    kind = "Vendor Fix" if raw["Type"] == 2 else "Release Notes"
    ids = "".join(f"<vuln:ProductID>{item}</vuln:ProductID>" for item in raw["ProductID"])
    texts = {
        "Description": raw["Description"]["Value"],
        "Supercedence": raw["Supercedence"],
        "RestartRequired": "Yes",
        "SubType": raw["SubType"],
        "FixedBuild": raw["FixedBuild"],
    }
    inner = "".join(f"<vuln:{name}>{escape(text)}</vuln:{name}>" for name, text in texts.items())
    return f'<vuln:Remediation Type="{kind}">{inner}{ids}<vuln:AffectedFiles /></vuln:Remediation>'


@dataclass
class Reply:
    """What is answered to one request."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class StandIn:
    """The running stand-in: ``replies`` by path (one of a list after the other), ``asked`` as it was asked."""

    url: str
    ca_file: Path
    replies: dict[str, list[Reply]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def serve(self, path: str, *replies: Reply) -> None:
        """Answer requests for that path; the last reply is repeated."""
        self.replies[path] = list(replies)

    def publish(self, raw: Mapping[str, Any]) -> None:
        """Serve a document at its own place."""
        name = raw["DocumentTracking"]["Identification"]["ID"]["Value"]
        self.serve(f"/cvrf/v3.0/cvrf/{name}", Reply(body=json.dumps(raw).encode()))

    @property
    def msrc_url(self) -> str:
        """What ``msrc_url`` is set to."""
        return f"{self.url}/cvrf/v3.0"

    @property
    def paths(self) -> list[str]:
        """The paths that were asked for, in order."""
        return [path for path, dummy in self.asked]


@contextmanager
def running(folder: Path) -> Iterator[StandIn]:
    """Serve on a free port of 127.0.0.1 with a certificate of an authority of its own."""
    authority = trustme.CA()
    ca_file = folder / "msrc-ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    stand_in = StandIn("", ca_file)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            stand_in.asked.append((self.path, dict(self.headers)))
            waiting = stand_in.replies.get(self.path, [Reply(404)])
            reply = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *_arguments: object) -> None:
            """Tests read ``asked``."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    stand_in.url = f"https://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield stand_in
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
