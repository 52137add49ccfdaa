# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Profiles of the credential file: the sections of ``~/.azure/credentials``, with the keys of azure.azcollection.

Its keys are the names of the options, as in::

    [default]
    subscription_id = 11111111-2222-4333-8444-555555555555
    client_id = ...
    secret = ...
    tenant = ...
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from ...domain.errors import InputError

PLACE = "~/.azure/credentials"
DEFAULT_PROFILE = "default"


@dataclass(frozen=True)
class Profile:
    """One section of the credential file; ``values`` are its keys in lower case, without empty ones."""

    name: str
    values: Mapping[str, str] = field(repr=False)


def read_profile(environ: Mapping[str, str], name: str, option: str) -> Profile:
    """Return the profile *name* that *option* asked for; raises InputError if there is none or it cannot be read."""
    profiles = _read(_path(environ), option, name)
    if profiles is None:
        raise InputError(option, name, f"given only where there is a credential file; {PLACE} does not exist")
    if not profiles.has_section(name):
        known = ", ".join(profiles.sections()) or "nothing"
        raise InputError(option, name, f"a section of {PLACE}, which holds {known}")
    return _profile(profiles, name)


def default_profile(environ: Mapping[str, str]) -> Profile | None:
    """Return the section ``[default]``, None without file or section; raises InputError for a file that is unusable."""
    profiles = _read(_path(environ), "auth_source", "auto")
    if profiles is None or not profiles.has_section(DEFAULT_PROFILE):
        return None
    return _profile(profiles, DEFAULT_PROFILE)


def _path(environ: Mapping[str, str]) -> str:
    return os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".azure", "credentials")


def _profile(profiles: configparser.RawConfigParser, name: str) -> Profile:
    return Profile(name, {key: value.strip() for key, value in profiles.items(name) if value and value.strip()})


def _read(path: str, option: str, value: str) -> configparser.RawConfigParser | None:
    # Raw: a secret may hold a percent sign.
    profiles = configparser.RawConfigParser()
    try:
        with open(path, encoding="utf-8-sig") as file:
            profiles.read_file(file)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(option, value, error.strerror or "it cannot be read") from error
    except configparser.Error as error:
        # Its own text quotes the line, and with it perhaps a secret; the traceback must not carry it either.
        raise _unusable(option, value, _where(error)) from None
    except UnicodeDecodeError:
        raise _unusable(option, value, "it is not UTF-8 text") from None
    return profiles


def _where(error: configparser.Error) -> str:
    lines = [number for number, _text in getattr(error, "errors", ())] or [getattr(error, "lineno", None)]
    return f"line {lines[0]} is not what an INI file may hold there" if lines[0] else "it is no INI file"


def _unusable(option: str, value: str, why: str) -> InputError:
    return InputError(
        option,
        value,
        f"used with a credential file that can be read, and of {PLACE} {why}",
        "mend or remove the file, or set auth_source to env, cli or msi",
    )
