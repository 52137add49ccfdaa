# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How bytes reach Azure: one TLS context, the proxies of the environment, one connection pool, and its transports.

The environment comes as a mapping, because a task's ``environment`` never reaches os.environ of an action plugin.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # public, but not in typeshed

from ..clock import Clock, is_loopback
from ..domain.errors import InputError
from .errors import AzureFailure, missing_library, unreachable, untrusted_certificate

if TYPE_CHECKING:
    import aiohttp

CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
CONNECT_SECONDS = 30
LOCAL_CONNECT_SECONDS = 2
"""The managed identity's endpoint is on this machine or nowhere; azure-identity waits as long."""
READ_SECONDS = 90
"""Real seconds; ARM itself gives up on a request after 60."""
CONNECTIONS = 64
"""Enough for the documented 25 reads a second at two seconds each, and few enough to be polite."""


def make_ssl_context(environ: Mapping[str, str], validation: str = "validate") -> tuple[ssl.SSLContext, list[str]]:
    """Return the one TLS context of a session, and warnings for the user.

    Trusted are the system's authorities and those named by the variables that requests, curl and OpenSSL know.
    *validation* is the option cert_validation_mode. Raises InputError for other words, AzureFailure for a bundle that
    cannot be read.
    """
    if validation not in ("validate", "ignore"):
        raise InputError("cert_validation_mode", validation, "validate or ignore")
    context = ssl.create_default_context()
    if not any((ssl.get_default_verify_paths().cafile, ssl.get_default_verify_paths().capath)):
        _load_certifi(context)
    for variable in CA_VARIABLES:
        path = environ.get(variable, "")
        if path:
            _load_bundle(context, variable, path)
    if validation == "validate":
        return context, []
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context, [
        "cert_validation_mode is ignore: certificates are not verified, and tokens may be given to an impostor."
    ]


def _load_bundle(context: ssl.SSLContext, variable: str, path: str) -> None:
    try:
        if os.path.isdir(path):
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except OSError as error:  # ssl.SSLError is one
        raise AzureFailure(
            f"Could not read the certificate authorities that {variable} names, {path!r} ({error}); name a readable "
            "PEM file or directory, or unset the variable.",
            kind="untrusted_certificate",
            operation="set up TLS",
            message=str(error),
            target=variable,
        ) from error


def _load_certifi(context: ssl.SSLContext) -> None:
    """Pythons that were built elsewhere may know no system authorities; certifi comes with the Azure libraries."""
    try:
        import certifi
    except ImportError:
        return
    context.load_verify_locations(cafile=certifi.where())


def choose_proxy(environ: Mapping[str, str], url: str) -> str | None:
    """Return the proxy for *url* by HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in either case; None for none.

    This machine itself is never asked for through a proxy.
    """
    parts = urlsplit(url)
    proxies = {
        scheme: environ.get(f"{scheme}_proxy") or environ.get(f"{scheme}_PROXY".upper()) or ""
        for scheme in ("http", "https", "all", "no")
    }
    proxy = proxies.get(parts.scheme) or proxies["all"]
    if not proxy or is_loopback(url):
        return None
    if proxies["no"] and proxy_bypass_environment(parts.netloc, {"no": proxies["no"]}):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def open_connections(context: ssl.SSLContext) -> aiohttp.ClientSession:
    """Open the connection pool that everything of one session shares; the caller closes it."""
    try:
        import aiohttp
    except ImportError as error:
        raise missing_library(error) from error
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context, limit=CONNECTIONS),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS),
    )


class _ExactSession:
    """An aiohttp session as azure-core's transport uses it, which sends URLs byte for byte and picks the proxy.

    aiohttp would otherwise rewrite percent-encodings (``%2F`` in a query becomes ``/``), and the signed poll URLs of
    Azure are opaque.
    """

    auto_decompress = False

    def __init__(self, session: aiohttp.ClientSession, environ: Mapping[str, str]) -> None:
        self._session = session
        self._environ = environ

    async def request(self, method: str, url: str, **options: Any) -> Any:
        from yarl import URL

        if options.get("proxy") is None:
            options["proxy"] = choose_proxy(self._environ, url)
        return await self._session.request(method, URL(url, encoded=True), **options)

    async def __aenter__(self) -> _ExactSession:
        return self

    async def close(self) -> None:
        """The pool outlives every transport; whoever opened it closes it."""


def make_transport(
    session: aiohttp.ClientSession,
    environ: Mapping[str, str],
    clock: Clock | None = None,
    connect_seconds: float = CONNECT_SECONDS,
) -> Any:
    """Return an azure-core transport on *session*; its sleeps follow *clock*, or real time without one.

    Credentials get one without: their tokens and retries live in real time.
    """
    from azure.core.pipeline.transport import AioHttpTransport

    class ClockedTransport(AioHttpTransport):  # type: ignore[misc]  # azure-core exports it lazily
        async def sleep(self, duration: float) -> None:
            if clock is None:
                await super().sleep(duration)
            else:
                await clock.asleep(duration)

    return ClockedTransport(
        session=_ExactSession(session, environ),
        session_owner=False,
        connection_timeout=connect_seconds,
        read_timeout=READ_SECONDS,
    )


def make_blocking_transport(context: ssl.SSLContext, environ: Mapping[str, str], authority: str) -> Any:
    """Return an azure-core transport for a credential that has no async form, with the session's TLS and proxies.

    *authority* is the login endpoint, whose port MSAL drops where it asks what kind of user one is.
    """
    import requests
    import urllib3
    from requests.adapters import HTTPAdapter

    from azure.core.pipeline.transport import RequestsTransport

    class ContextAdapter(HTTPAdapter):
        """Uses the session's TLS context as it is; requests would add authorities of its own to it."""

        def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
            super().init_poolmanager(*arguments, **options, ssl_context=context)

        def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
            return super().proxy_manager_for(proxy, **options, ssl_context=context)

        def build_connection_pool_key_attributes(self, *arguments: Any, **options: Any) -> Any:
            host, _pool = super().build_connection_pool_key_attributes(*arguments, **options)
            return host, {}

        def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
            """The context says it all."""

    class ProxiedTransport(RequestsTransport):  # type: ignore[misc]  # azure-core exports it lazily
        def send(self, request: Any, **options: Any) -> Any:
            request.url = restore_port(request.url, authority)
            proxy = choose_proxy(environ, request.url)
            options["proxies"] = {"http": proxy, "https": proxy} if proxy else {}
            return super().send(request, **options)

    if context.verify_mode == ssl.CERT_NONE:
        # The user has our own warning already.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    session = requests.Session()
    session.trust_env = False
    session.mount("https://", ContextAdapter(max_retries=0))
    return ProxiedTransport(session=session, connection_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS)


def restore_port(url: str, authority: str) -> str:
    """Return *url* with the port of *authority* if it names its host and no port."""
    parts, own = urlsplit(url), urlsplit(authority)
    if own.port is None or parts.port is not None or parts.hostname != own.hostname:
        return url
    return parts._replace(netloc=own.netloc).geturl()


def connection_failure(operation: str, url: str, error: BaseException) -> AzureFailure | None:
    """Turn what aiohttp (or azure-core around it) raises about a connection to *url* into a failure; None for other.

    ``uncertain`` is set unless it is known that the request never left: the connection was not even opened.
    """
    chain = _causes(error)
    try:
        import aiohttp
    except ImportError:
        return None
    endpoint = _endpoint(url, chain)
    if is_untrusted(error):
        reasons = [str(getattr(getattr(cause, "certificate_error", cause), "verify_message", "")) for cause in chain]
        return untrusted_certificate(operation, endpoint, next(filter(None, reasons), "verification failed"))
    for cause in chain:
        if isinstance(cause, aiohttp.ClientConnectorError):
            return unreachable(operation, endpoint, cause.os_error.strerror or str(cause.os_error))
        # Not known to aiohttp before 3.10, where it counts as uncertain below.
        if isinstance(cause, getattr(aiohttp, "ConnectionTimeoutError", ())):
            return unreachable(operation, endpoint, f"no connection within {CONNECT_SECONDS} seconds")
    for cause in chain:
        if isinstance(cause, (aiohttp.ClientError, TimeoutError, OSError)) or _is_timeout(cause):
            # The innermost has the plain words; those around it repeat them with the whole URL.
            words = next(
                (inner.strerror for inner in reversed(chain) if isinstance(inner, OSError) and inner.strerror), ""
            )
            said = words or str(cause) or "it hung up"
            reason = f"no answer within {READ_SECONDS} seconds" if _is_timeout(cause) else said
            return unreachable(operation, endpoint, reason, uncertain=True)
    return None


def is_untrusted(error: BaseException) -> bool:
    """Tell whether *error* comes from a certificate that is not trusted."""
    return any(isinstance(getattr(cause, "certificate_error", cause), ssl.CertificateError) for cause in _causes(error))


def _causes(error: BaseException) -> list[BaseException]:
    """Return *error* and what it came from, outermost first.

    azure-core keeps the cause in ``inner_exception``, urllib3 in ``reason``, requests as its first argument.
    """
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        kept = (getattr(current, "inner_exception", None), current.__cause__, getattr(current, "reason", None))
        current = next((cause for cause in (*kept, *current.args[:1]) if isinstance(cause, BaseException)), None)
    return chain


def _is_timeout(error: BaseException) -> bool:
    import asyncio

    # Two classes until Python 3.11.
    return isinstance(error, (asyncio.TimeoutError, TimeoutError))


def _endpoint(url: str, chain: list[BaseException]) -> str:
    for cause in chain:
        host, port = getattr(cause, "host", None), getattr(cause, "port", None)
        if host:
            return f"{host}:{port}" if port else str(host)
    # Without the path and query: poll URLs are signed.
    return urlsplit(url).netloc
