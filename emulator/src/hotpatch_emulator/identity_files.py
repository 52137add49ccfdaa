# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What endpoints.json says of each principal, and the files with its proofs; and the tool that mints OIDC tokens.

A token of the emulated issuer, for a principal that takes them, is printed or written to a file (mode 0600) by::

    python -m hotpatch_emulator.identity_files --run-dir DIR --principal NAME [--lifetime SECONDS] [--output FILE]

and with ``--subject``, ``--audience`` or ``--issuer`` one that Azure ought to refuse.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from hotpatch_emulator.assertions import OidcIssuer
from hotpatch_emulator.identity import Identity
from hotpatch_emulator.settings import Principal

ISSUER_KEY = "oidc-issuer-key.pem"
FIRST_LIFETIME = 3600
"""Real seconds; of the token that lies ready at the start."""


def write_private(path: Path, content: str | bytes) -> None:
    """Replace a file that only its owner may read."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    temporary.replace(path)


def publish(principals: Sequence[Principal], identity: Identity, run_dir: Path) -> dict[str, Any]:
    """Write the files and return the principals by name, with all that each may use."""
    if identity.issuer is not None:
        write_private(run_dir / ISSUER_KEY, identity.issuer.pem())
    return {principal.name: _describe(principal, identity, run_dir) for principal in principals}


def _describe(principal: Principal, identity: Identity, run_dir: Path) -> dict[str, Any]:
    entry: dict[str, Any] = {"object_id": principal.object_id, "proofs": list(principal.proofs)}
    if not principal.user:
        entry["client_id"] = principal.client_id
    if "secret" in principal.proofs:
        entry["client_secret"] = principal.secret
    if principal.certificate is not None:
        path = run_dir / f"principal-{principal.name}.pem"
        write_private(path, principal.certificate.pem())
        write_private(path.with_suffix(".pfx"), principal.certificate.pfx())
        entry["certificate"] = str(path)
        entry["certificate_pfx"] = str(path.with_suffix(".pfx"))
        entry["thumbprint"] = principal.certificate.thumbprint
    if principal.federated is not None and identity.issuer is not None:
        path = run_dir / f"principal-{principal.name}.jwt"
        trust = principal.federated
        token = identity.issuer.mint(identity.issuer_url, trust.subject, trust.audience, FIRST_LIFETIME)
        write_private(path, token + "\n")
        entry["federated"] = {"issuer": identity.issuer_url, "subject": trust.subject, "audience": trust.audience}
        entry["federated_token_file"] = str(path)
    if principal.user:
        entry["user"] = principal.user
        entry["password"] = principal.password
    return entry


def mint(run_dir: Path, principal: str, lifetime: float, **replaced: str | None) -> str:
    """A token for *principal* of the emulator that runs in *run_dir*; *replaced*: issuer, subject, audience."""
    known = json.loads((run_dir / "endpoints.json").read_text(encoding="utf-8"))["principals"]
    trust = known.get(principal, {}).get("federated")
    if trust is None:
        takers = ", ".join(name for name, entry in known.items() if "federated" in entry) or "nobody"
        raise ValueError(f"principal {principal!r} takes no OIDC token; {takers} does")
    key = load_pem_private_key((run_dir / ISSUER_KEY).read_bytes(), None)
    assert isinstance(key, RSAPrivateKey)
    claims = {**trust, **{name: value for name, value in replaced.items() if value is not None}}
    return OidcIssuer(key).mint(claims["issuer"], claims["subject"], claims["audience"], lifetime)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line of the tool. Exit status 2: no token could be minted, and standard error says why."""
    parser = argparse.ArgumentParser(description="Mint a token of the emulated OIDC issuer.")
    parser.add_argument("--run-dir", type=Path, required=True, help="the running emulator's directory")
    parser.add_argument("--principal", required=True, help="name of the principal, as in endpoints.json")
    parser.add_argument("--lifetime", type=float, default=FIRST_LIFETIME, help="real seconds (default: 3600)")
    parser.add_argument("--output", type=Path, help="file to replace with the token (default: standard output)")
    for name in ("subject", "audience", "issuer"):
        parser.add_argument(f"--{name}", help="another than the registered one")
    given = parser.parse_args(arguments)
    replaced = {name: getattr(given, name) for name in ("subject", "audience", "issuer")}
    try:
        token = mint(given.run_dir, given.principal, given.lifetime, **replaced)
    except (OSError, ValueError) as error:
        print(f"no token: {error}", file=sys.stderr)
        return 2
    if given.output is None:
        print(token)
    else:
        write_private(given.output, token + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
