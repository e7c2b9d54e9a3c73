"""The way to a provider as operators have it: proxies, authorities of their own, keys from files; errors in words."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from models.errors import ContractBroken, ProviderError, ProviderUnavailable, UsageError
from sandbox.server import Sandbox
from tasks.client.proxies import proxy_for, spare_loopback
from tasks.client.transport import Tally
from tasks.settings import Settings
from tests.support.builders import Office
from tests.support.networks import Authority, ForwardProxy, tls_in_front
from tests.support.relay import Relay, Reply, reply
from tests.support.wire import wire

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXIES, "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def relay(sandbox: Sandbox) -> Iterator[Relay]:
    with Relay(sandbox.url) as relay:
        yield relay


def ask(database_url: str, sandbox: Sandbox, url: str) -> str:
    """One request for calls, without retries that wait."""
    with Office(database_url, sandbox.environ | {"SKIPCALL_BASE_URL": url}) as office:
        client = office.run("skipcall").contexts[0].client
        text: str = client.get("/v1/calls", {}, Tally()).text
        return text


Ask = Callable[[str], str]


@pytest.fixture
def asking(database_url: str, sandbox: Sandbox) -> Ask:
    return lambda url: ask(database_url, sandbox, url)


def test_http_proxy(asking: Ask, relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider whose name only the proxy knows is asked through HTTP_PROXY, with its password (encode/httpx#1122)."""
    with ForwardProxy({"provider.example": relay.url}, password="user:pa%ss") as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://user:pa%25ss@127.0.0.1:{proxy.port}")
        assert asking("http://provider.example").startswith("{")
        assert proxy.seen == ["GET http://provider.example/v1/calls"]


def test_https_proxy(asking: Ask, sandbox: Sandbox, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through HTTPS_PROXY the way is a tunnel, and the provider's certificate is checked against SSL_CERT_FILE."""
    with (
        tls_in_front(sandbox.url, authority.server("provider.example")) as port,
        ForwardProxy({"provider.example": f"http://127.0.0.1:{port}"}) as proxy,
    ):
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        assert asking("https://provider.example").startswith("{")
        assert proxy.seen == ["CONNECT provider.example:443"]


def test_no_proxy(asking: Ask, relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    """What NO_PROXY names, and this machine whatever it names, is asked directly."""
    with ForwardProxy({}) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        assert asking(relay.url).startswith("{")
        monkeypatch.setenv("NO_PROXY", "api.example,.internal.example")
        assert proxy.seen == []

    assert proxy_for("http://calls.internal.example:8080") is None
    assert proxy_for("http://api.example") is None
    assert proxy_for("http://[::1]:4200") is None
    assert proxy_for("http://other.example") == f"http://127.0.0.1:{proxy.port}"


def test_refusing_proxy(asking: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that refuses the way is told from a provider that does not answer."""
    with ForwardProxy({}) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(ProviderUnavailable, match=r"the proxy refuses \(403 not known here\).*NO_PROXY"):
            asking("https://provider.example")


def test_odd_proxy(asking: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of a kind that is not supported is a matter of configuration."""
    monkeypatch.setenv("HTTP_PROXY", "ftp://127.0.0.1:1")
    with pytest.raises(UsageError, match="HTTP_PROXY"):
        asking("http://provider.example")


def test_loopback_is_spared() -> None:
    """Other libraries are told not to ask this machine through a proxy; where there is none nothing changes."""
    plain: dict[str, str] = {}
    proxied = {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "intern.example, localhost"}
    spare_loopback(plain)
    spare_loopback(proxied)

    assert plain == {}
    assert proxied["NO_PROXY"] == proxied["no_proxy"] == "intern.example,localhost,127.0.0.1,::1"


def test_own_authority(asking: Ask, sandbox: Sandbox, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate of a private authority is trusted by SSL_CERT_FILE, and without it the error says so."""
    with tls_in_front(sandbox.url, authority.server("127.0.0.1")) as port:
        with pytest.raises(ProviderUnavailable, match=r"certificate is not trusted.*SSL_CERT_FILE"):
            asking(f"https://127.0.0.1:{port}")
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        assert asking(f"https://127.0.0.1:{port}").startswith("{")


def test_unreadable_authority(asking: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file without certificates is named."""
    (tmp_path / "ca.pem").write_text("none")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with pytest.raises(UsageError, match=r"SSL_CERT_FILE: .*ca\.pem holds no certificates"):
        asking("https://127.0.0.1:1")


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (lambda relay: relay.url.replace("http:", "https:"), "does not speak TLS"),
        (lambda _relay: f"http://127.0.0.1:{closed_port()}", "connection is refused: nothing listens there"),
        (lambda _relay: "http://no-such-host.invalid", "name is not found in the DNS"),
        (lambda _relay: "127.0.0.1:80", "address must begin with https:// or http://"),
    ],
    ids=["plain port", "refused", "name", "scheme"],
)
def test_unreachable(asking: Ask, relay: Relay, address: Callable[[Relay], str], words: str) -> None:
    """Where a provider cannot be reached, the error says what failed and names the variable."""
    with pytest.raises(ProviderUnavailable, match=words) as error:
        asking(address(relay))

    assert "SKIPCALL_BASE_URL" in str(error.value)
    assert "Error" not in str(error.value)


def test_no_http(asking: Ask) -> None:
    """A server that speaks no HTTP is told as such."""
    with (
        wire(lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")) as url,
        pytest.raises(ProviderUnavailable, match="does not speak HTTP"),
    ):
        asking(url)


def test_cookies(relay: Relay, database_url: str, sandbox: Sandbox) -> None:
    """Cookies that an answer sets are never sent back."""
    seen: list[Any] = []

    def baking(asked: Any) -> Reply:
        seen.append(asked.headers.get("cookie"))
        return reply(200, {"data": [], "meta": {"total": 0}}, set_cookie=f"session{len(seen)}={'x' * 1000}; Path=/")

    relay.intervene = baking
    with Office(database_url, sandbox.environ | {"SKIPCALL_BASE_URL": relay.url}) as office:
        client = office.run("skipcall").contexts[0].client
        for _ in range(3):
            client.get("/v1/calls", {}, Tally())

    assert seen == [None, None, None]


def test_redirect(asking: Ask, relay: Relay) -> None:
    """An answer that leads elsewhere is not followed with our key; the error says where it leads."""
    relay.intervene = lambda _asked: reply(302, {}, location="https://login.example/sign-in?next=/v1/calls")
    with pytest.raises(ContractBroken, match=r"sends /v1/calls on to https://login\.example/sign-in \(302\)"):
        asking(relay.url)


JSON = {"content-type": "application/json"}
ZOE = '{"data": "Zoë"}'
READABLE: dict[str, tuple[bytes, dict[str, str]]] = {
    "byte order mark": (b"\xef\xbb\xbf" + ZOE.encode(), JSON),
    "UTF-16": (ZOE.encode("utf-16"), JSON),
    "UTF-16 without a mark": (ZOE.encode("utf-16-be"), JSON),
    "UTF-32": (ZOE.encode("utf-32"), JSON),
    "Latin-1 as it says": (ZOE.encode("latin-1"), {"content-type": "application/json; charset=ISO-8859-1"}),
    "UTF-8 that calls itself Latin-1": (ZOE.encode(), {"content-type": "application/json; charset=ISO-8859-1"}),
    "unknown charset": (ZOE.encode(), {"content-type": "application/json; charset=x-klingon"}),
    "undefined charset": (ZOE.encode(), {"content-type": "application/json; charset=undefined"}),
    "no type": (ZOE.encode(), {}),
}


@pytest.mark.parametrize("name", READABLE)
def test_readable(asking: Ask, relay: Relay, name: str) -> None:
    """A body in another encoding than UTF-8 is read where it says or shows what it is (activecampaign-api-php#114)."""
    body, headers = READABLE[name]
    relay.intervene = lambda _asked: Reply(200, body, headers)

    assert asking(relay.url) == ZOE


def page(title: str) -> bytes:
    return f"<!DOCTYPE html><html><head><title>{title}</title></head><body>…</body></html>".encode()


UNREADABLE: dict[str, tuple[Reply, str]] = {
    "gzip that is none": (Reply(200, b"{}", {"content-encoding": "gzip"}), "calls itself gzip and is not"),
    "unknown packing": (Reply(200, b"{}", {"content-encoding": "br"}), "packed in a way that was not asked for"),
    "204": (Reply(204, b""), "answered 204 to /v1/calls with nothing where JSON is expected"),
    "empty": (Reply(200, b""), "answered 200 to /v1/calls with nothing where JSON is expected"),
    "null": (Reply(200, b"null"), "with null where JSON is expected"),
    "a text": (Reply(200, b'"ok"'), "with a text where JSON is expected"),
    "no JSON": (Reply(200, b"OK +33612345678"), "with text where JSON is expected: “OK …78”"),
    "a page": (Reply(200, page("Sign in &amp; go")), "with a web page titled “Sign in & go” where JSON is expected"),
    "an error page": (Reply(404, page("404 Not Found")), "answered 404 to /v1/calls: “404 Not Found”"),
    "an error in UTF-16": (Reply(400, '{"message": "zu früh"}'.encode("utf-16")), "“zu früh”"),
    "an error badly packed": (Reply(400, b"oops", {"content-encoding": "gzip"}), "answered 400 to /v1/calls: no expl"),
    "an error with markup": (Reply(400, b'{"message": "\\u001b[31m[red]<b>no</b>[/x]"}'), "“[red] no [/x]”"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_unreadable(asking: Ask, relay: Relay, name: str) -> None:
    """An answer that is not what was asked for is an error that says what came, never a library's own words."""
    answer, words = UNREADABLE[name]
    relay.intervene = lambda _asked: answer
    with pytest.raises(ProviderError) as error:
        asking(relay.url)

    assert words in str(error.value)
    assert not any(word in str(error.value) for word in ("Error", "-3", "pydantic", "Expected `", "\x1b"))


@pytest.mark.parametrize("end", ["\n", "\r\n", "  ", "\t"])
def test_key_from_a_file(database_url: str, sandbox: Sandbox, end: str) -> None:
    """A key with a line break or a blank at its end works as without (feature-store-api#1145, cert-manager#1385)."""
    environ = {name: f" {text}{end}" for name, text in sandbox.environ.items()}
    with Office(database_url, environ) as office:
        assert office.run("skipcall").contexts[0].client.get("/v1/calls", {}, Tally()).text.startswith("{")


@pytest.mark.parametrize("key", ["one\ntwo", "“quoted”", "ключ", "a\x00b"])
def test_odd_key(sandbox: Sandbox, key: str) -> None:
    """A key that cannot be sent is refused before anything starts, by the name of its variable and without itself."""
    with pytest.raises(UsageError, match="SKIPCALL_API_KEY holds a line break") as error:
        Settings(sandbox.environ | {"SKIPCALL_API_KEY": key}).account("skipcall")

    assert key not in str(error.value)
