# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges HTTP answers by Azure's own OpenAPI documents: status, body and, where asked, no property they do not name.

Azure publishes Swagger 2.0: JSON Schema in an old dialect, spread over files that refer to each other. Here each
file becomes one document of the current dialect in a registry of jsonschema, which then does the judging.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import referencing
from referencing.jsonschema import DRAFT202012

CLOSED = "__closed"
# Azure stopped listing its VM sizes here years ago; the list in the documents is no longer a rule.
OPEN_LISTS = {"VirtualMachineSizeTypes"}
# What Azure writes: seven fraction digits, and an offset as often as a Z.
DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?(Z|[+-]\d\d:\d\d)")


class Contract:
    """The operations that a set of OpenAPI files describes."""

    def __init__(self, root: Path) -> None:
        """Reads every OpenAPI file under `root`, leaving out the folders of examples."""
        self._registry: referencing.Registry[Any] = referencing.Registry()
        self._operations: list[tuple[str, str, dict[str, Any], str]] = []
        for path in sorted(root.rglob("*.json")):
            if "examples" in path.parts:
                continue
            document = json.loads(path.read_text(encoding="utf-8"))
            uri = path.resolve().as_uri()
            self._operations += [
                (method.upper(), template, operation, uri)
                for template, methods in document.get("paths", {}).items()
                for method, operation in methods.items()
                if method != "parameters"
            ]
            self._registry = self._registry.with_resource(uri, DRAFT202012.create_resource(_document(document)))
        self._formats = jsonschema.FormatChecker(formats=())
        self._formats.checks("date-time")(lambda value: not isinstance(value, str) or bool(DATE_TIME.fullmatch(value)))

    def examples(self) -> Iterator[tuple[str, str, int, Any]]:
        """Azure's own examples of answers, as far as their files are there: (method, path, status, body)."""
        for method, template, operation, uri in self._operations:
            for entry in operation.get("x-ms-examples", {}).values():
                path = Path(uri.removeprefix("file://")).parent / entry["$ref"]
                if path.is_file():
                    for status, answer in json.loads(path.read_text(encoding="utf-8"))["responses"].items():
                        yield method, template.replace("{", "").replace("}", ""), int(status), answer.get("body")

    def problems(self, method: str, path: str, status: int, body: Any, closed: bool = True) -> list[str]:
        """What is wrong with an answer, a sentence each; nothing when it is as described.

        `path` is without query. `body` is the parsed JSON, or None for an empty body. `closed` objects to properties
        that the description does not name.
        """
        described = [
            (operation, uri)
            for known, template, operation, uri in self._operations
            if known == method.upper() and _pattern(template).fullmatch(path)
        ]
        if not described:
            return [f"{method} {path} is not described"]
        operation, uri = described[0]
        responses = operation["responses"]
        answer = responses.get(str(status)) or (responses.get("default") if status >= 400 else None)
        if answer is None:
            return [f"status {status} is not one of {', '.join(responses)}"]
        schema = answer.get("schema")
        if schema is None:
            return [] if body is None else [f"status {status} has no body, but one came"]
        if body is None:
            return [f"status {status} has a body, but none came"]
        return list(self._judge(_schema(schema, closed=closed), uri, body))

    def definition_problems(self, file_name: str, definition: str, body: Any) -> list[str]:
        """What is wrong with a value of a named definition, for bodies of requests."""
        (uri,) = [uri for uri in self._registry if uri.endswith(f"/{file_name}")]
        return list(self._judge({"$ref": f"#/definitions/{definition}{CLOSED}"}, uri, body))

    def _judge(self, schema: dict[str, Any], uri: str, value: Any) -> Iterator[str]:
        rooted = _absolute(schema, uri)
        validator = jsonschema.Draft202012Validator(rooted, registry=self._registry, format_checker=self._formats)
        for error in validator.iter_errors(value):
            where = "/".join(str(step) for step in error.absolute_path) or "the body"
            yield f"{where}: {error.message}"


def _pattern(template: str) -> re.Pattern[str]:
    # ARM compares the fixed parts of a path without regard to case.
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template)), re.IGNORECASE)


def _document(document: dict[str, Any]) -> dict[str, Any]:
    definitions: dict[str, Any] = {}
    for name, schema in document.get("definitions", {}).items():
        definitions[name] = _schema(schema)
        definitions[name + CLOSED] = {"$ref": f"#/definitions/{name}"}
        if schema.get("type") == "object" or "properties" in schema or "allOf" in schema:
            definitions[name + CLOSED]["unevaluatedProperties"] = False
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "definitions": definitions}


def _schema(schema: Any, closed: bool = True, inherited: bool = False) -> Any:
    """One Swagger schema in the current dialect.

    A reference from `allOf` stays open, since the names of the other members are allowed there too; every other
    reference goes to the definition's closed twin.
    """
    if isinstance(schema, list):
        return [_schema(entry, closed, inherited) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        target = schema["$ref"]
        is_definition = "#/definitions/" in target
        return {"$ref": target + CLOSED if closed and is_definition and not inherited else target}
    converted: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "allOf":
            converted[key] = [_schema(entry, closed, inherited=True) for entry in value]
        elif key == "properties":
            converted[key] = {name: _schema(entry, closed) for name, entry in value.items()}
        elif key in ("items", "additionalProperties"):
            converted[key] = _schema(value, closed)
        elif key in ("type", "enum", "required", "format", "pattern", "minimum", "maximum", "minItems", "maxItems"):
            converted[key] = value
    if schema.get("x-ms-enum", {}).get("name") in OPEN_LISTS:
        del converted["enum"]
    if schema.get("x-nullable") and "type" in converted:
        converted["type"] = [converted["type"], "null"]
    return converted


def _absolute(schema: Any, uri: str) -> Any:
    """The schema with its references made absolute, since it stands outside its document."""
    if isinstance(schema, list):
        return [_absolute(entry, uri) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        file, dummy, fragment = schema["$ref"].partition("#")
        base = Path(uri.removeprefix("file://"))
        target = (base.parent / file).resolve().as_uri() if file else uri
        return {**schema, "$ref": f"{target}#{fragment}"}
    return {key: _absolute(value, uri) for key, value in schema.items()}
