"""What stands between a program and a provider in a company: a forward proxy, and an authority of its own."""

import socket
import ssl
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from typing import Self
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PEM = serialization.Encoding.PEM


class Authority:
    """An authority of one's own; `file` holds its certificate."""

    def __init__(self, folder: Path) -> None:
        self.file, self._folder = folder / "ca.pem", folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("House authority")
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        certificate = _certificate(self._name, self._name, self._key.public_key(), constraints).sign(
            self._key, hashes.SHA256()
        )
        self.file.write_bytes(certificate.public_bytes(PEM))

    def server(self, host: str) -> ssl.SSLContext:
        """What a server of the name or address `host` needs."""
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            name: x509.GeneralName = x509.IPAddress(ip_address(host))
        except ValueError:
            name = x509.DNSName(host)
        names = x509.SubjectAlternativeName([name])
        certificate = _certificate(_name(host), self._name, key.public_key(), names).sign(self._key, hashes.SHA256())
        file = self._folder / f"{host}.pem"
        plain = serialization.NoEncryption()
        file.write_bytes(
            key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, plain) + certificate.public_bytes(PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, extension: x509.ExtensionType
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(extension, critical=True)
    )


@contextmanager
def tls_in_front(url: str, context: ssl.SSLContext) -> Iterator[int]:
    """The port of a TLS server that passes on to `url`."""
    target = urlsplit(url)

    def serve(connection: socket.socket) -> None:
        with (
            suppress(OSError),
            context.wrap_socket(connection, server_side=True) as inside,
            socket.create_connection((target.hostname or "", target.port or 80)) as upstream,
        ):
            _join(inside, upstream)

    with _listening(serve) as port:
        yield port


class ForwardProxy:
    """A forward proxy that knows some names of its own, and refuses all others.

    Args:
        hosts: by the name that a client asks for, the address that it stands for.
        password: `user:password` that it asks for.
    """

    def __init__(self, hosts: dict[str, str], password: str | None = None) -> None:
        self.seen: list[str] = []
        """Method and target of each request."""
        self._hosts, self._password = hosts, password
        self._listening = _listening(self._serve)

    def __enter__(self) -> Self:
        self.port = self._listening.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.__exit__(None, None, None)

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            head = _head(connection)
            method, target, _ = head.partition(b"\r\n")[0].decode().split(" ")
            self.seen.append(f"{method} {target}")
            host = urlsplit(target if "://" in target else f"//{target}").hostname or ""
            if self._password and b64encode(self._password.encode()) not in head:
                connection.sendall(b"HTTP/1.1 407 password wanted\r\nContent-Length: 0\r\n\r\n")
            elif host not in self._hosts:
                connection.sendall(b"HTTP/1.1 403 not known here\r\nContent-Length: 0\r\n\r\n")
            else:
                self._pass_on(connection, method, head, self._hosts[host])

    def _pass_on(self, connection: socket.socket, method: str, head: bytes, url: str) -> None:
        target = urlsplit(url)
        with socket.create_connection((target.hostname or "", target.port or 80)) as upstream:
            if method == "CONNECT":
                connection.sendall(b"HTTP/1.1 200 go on\r\n\r\n")
            else:
                upstream.sendall(_relative(head))
            _join(connection, upstream)


def _relative(head: bytes) -> bytes:
    """The head of a request as the server itself takes it."""
    first, _, rest = head.partition(b"\r\n")
    method, target, version = first.split(b" ")
    path = urlsplit(target.decode())
    place = (path.path + (f"?{path.query}" if path.query else "")).encode()
    return b" ".join([method, place, version]) + b"\r\nConnection: close\r\n" + rest


def _head(connection: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head and (piece := connection.recv(65_536)):
        head += piece
    return head


def _join(left: socket.socket, right: socket.socket) -> None:
    """Bytes both ways until one side ends."""
    back = Thread(target=_pump, args=(right, left), daemon=True)
    back.start()
    _pump(left, right)
    back.join(5)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError, ValueError):
        while piece := source.recv(65_536):
            sink.sendall(piece)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def _listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    Thread(target=serve, args=(connection,), daemon=True).start()

        Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
