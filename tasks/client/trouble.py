"""Why a provider could not be reached, in words."""

import re
import socket
import ssl
from collections.abc import Iterator

import httpx

NOT_TLS = re.compile(r"WRONG_VERSION_NUMBER|HTTP_REQUEST|RECORD_LAYER_FAILURE|PACKET_LENGTH_TOO_LONG|UNKNOWN_PROTOCOL")

CAUSES: list[tuple[type[BaseException], str]] = [
    (socket.gaierror, "its name is not found in the DNS"),
    (ConnectionRefusedError, "the connection is refused: nothing listens there"),
    (ConnectionResetError, "it broke off the connection"),
    (BrokenPipeError, "it broke off the connection"),
]
KINDS: list[tuple[type[httpx.TransportError], str]] = [
    (httpx.ConnectTimeout, "no connection within 10 seconds"),
    (httpx.TimeoutException, "it does not answer within 30 seconds"),
    (httpx.UnsupportedProtocol, "the address must begin with https:// or http://"),
    (
        httpx.LocalProtocolError,
        "the request cannot be written as HTTP: does a key hold a line break or another odd character?",
    ),
    (httpx.RemoteProtocolError, "it broke off its answer, or does not speak HTTP"),
    (httpx.ConnectError, "no network leads there"),
]


def why(error: httpx.TransportError) -> str:
    """What happened and what to do about it, as the rest of a sentence."""
    for cause in _causes(error):
        if words := _of_cause(cause):
            return words
    return next((words for kind, words in KINDS if isinstance(error, kind)), "the connection was lost")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from, the innermost first."""
    inner = error.__cause__ or error.__context__
    if inner is not None:
        yield from _causes(inner)
    yield error


def _of_cause(cause: BaseException) -> str | None:
    match cause:
        case ssl.SSLCertVerificationError():
            return (
                f"its certificate is not trusted: {cause.verify_message}. Let SSL_CERT_FILE name a PEM file with the "
                "authorities that you trust"
            )
        case ssl.SSLError() if NOT_TLS.search(str(cause).upper().replace(" ", "_")):
            return "what answers there does not speak TLS: is it http:// or another port?"
        case ssl.SSLError():
            return f"TLS could not be agreed on ({cause.reason or 'no reason given'})"
        case httpx.ProxyError():
            return f"the proxy refuses ({cause}): check HTTPS_PROXY and NO_PROXY"
    return next((words for kind, words in CAUSES if isinstance(cause, kind)), None)
