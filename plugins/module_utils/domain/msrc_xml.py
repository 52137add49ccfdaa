# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The XML form of an MSRC document, as the names and nesting of its JSON form; of it only what is read there.

The document comes from the network and is not trusted: no DOCTYPE, no entities, bounded depth and number of elements.
"""

from __future__ import annotations

from typing import Any
from xml.parsers import expat

MAX_DEPTH = 64
MAX_ELEMENTS = 5_000_000
"""The document of 2025-06 has about 60,000."""

_TEXTS = frozenset({"Description", "SubType", "FixedBuild", "Supercedence", "RestartRequired"})


class _Reader:
    """Collects the parts of the document as expat meets them."""

    def __init__(self) -> None:
        self.tracking: dict[str, Any] = {}
        self.names: dict[str, dict[str, str]] = {}
        self.vulnerabilities: list[dict[str, Any]] = []
        self._path: list[str] = []
        self._text: list[str] = []
        self._elements = 0
        self._product_id = ""
        self._fix: dict[str, Any] | None = None
        self.parser = expat.ParserCreate(None, "}")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text.append
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition("}")[2]
        self._path.append(local)
        self._elements += 1
        if len(self._path) > MAX_DEPTH or self._elements > MAX_ELEMENTS:
            raise ValueError(f"it is nested deeper than {MAX_DEPTH} or has more than {MAX_ELEMENTS} elements")
        self._text.clear()
        if local == "FullProductName":
            self._product_id = attributes.get("ProductID", "")
        elif local == "Vulnerability":
            self.vulnerabilities.append({"Remediations": []})
        elif local == "Remediation" and self.vulnerabilities:
            self._fix = {"Type": attributes.get("Type", ""), "ProductID": []}
            self.vulnerabilities[-1]["Remediations"].append(self._fix)

    def _end(self, name: str) -> None:
        local = self._path.pop()
        parent = self._path[-1] if self._path else ""
        text = "".join(self._text)
        self._text.clear()
        if local == "FullProductName":
            self.names[self._product_id] = {"ProductID": self._product_id, "Value": text}
        elif (parent, local) == ("Identification", "ID"):
            self.tracking["Identification"] = {"ID": text}
        elif (parent, local) == ("DocumentTracking", "InitialReleaseDate"):
            self.tracking["InitialReleaseDate"] = text
        elif local == "Remediation":
            self._fix = None
        elif self._fix is not None and parent == "Remediation":
            if local == "ProductID":
                self._fix["ProductID"].append(text)
            elif local in _TEXTS:
                self._fix[local] = text

    def _refuse(self, *_declaration: object) -> None:
        raise ValueError("it holds a DOCTYPE or an entity, which no MSRC document has; it was not read any further")


def cvrf_from_xml(data: bytes) -> dict[str, Any]:
    """Return the document with the names of the JSON form; ValueError says why it cannot be read."""
    reader = _Reader()
    try:
        reader.parser.Parse(data, True)
    except expat.ExpatError as error:
        raise ValueError(f"it is not well-formed XML: {error}") from None
    return {
        "DocumentTracking": reader.tracking,
        "ProductTree": {"FullProductName": list(reader.names.values())},
        "Vulnerability": reader.vulnerabilities,
    }
