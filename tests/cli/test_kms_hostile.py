#!/usr/bin/python3
"""HTTP and TLS against the live door as an attacker speaks them: afterwards the service answers, and has
neither more descriptors nor noticeably more memory than before (K-12, N-3)."""
import base64
import json
import os
import pathlib
import re
import socket
import ssl
import struct
import time

from kms_processes import WAIT_S, children, dev, settings, until
from scenario import case, finish

PLAIN = base64.b64encode(b"x" * 32).decode()
# Of one source; what limits do has a case of its own.
WIDE = "connections_per_source = 20000\nhandshakes_per_second = 100000\n"


def descriptors(service):
    return {who: len(os.listdir(f"/proc/{pid}/fd")) for who, pid in children(service.process.pid).items()}


def resident_kib(service):
    return sum(int(re.search(r"Pss:\s+(\d+)", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text())[1])
               for pid in children(service.process.pid).values())


def raw(service):
    return socket.create_connection((service.host, int(service.port)), WAIT_S)


def link(service):
    context = ssl.create_default_context(cafile=str(service.ca))
    return context.wrap_socket(raw(service), server_hostname=service.host)


def read_all(sock, silence_s=0.7):
    """Until the other end closes, or falls silent."""
    got = b""
    sock.settimeout(silence_s)
    try:
        while piece := sock.recv(65536):
            got += piece
    except OSError:
        pass
    return got


def send(sock, data):
    """What of it the other end still takes."""
    try:
        sock.sendall(data)
    except OSError:
        pass


def say(service, data, silence_s=0.7):
    with link(service) as sock:
        send(sock, data)
        return read_all(sock, silence_s)


def request(service, method="POST", path="/v1/transit/encrypt/k", body=b"", more=""):
    return (f"{method} {path} HTTP/1.1\r\nHost: x\r\nX-Vault-Token: {service.token}\r\n{more}"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


def statuses(answer):
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


class Attacked:
    """A service, and what it needs before and behind an attack."""

    def __init__(self, place, limits=WIDE):
        settings(place, f"[limits]\n{limits}")
        self.service = dev(place)

    def __enter__(self):
        service = self.service
        assert service.call("POST", "/v1/transit/keys/k")[0] == 200
        for _ in range(50):
            assert service.call("POST", "/v1/transit/encrypt/k", {"plaintext": PLAIN})[0] == 200
        self.processes = children(service.process.pid)
        self.descriptors = descriptors(service)
        self.memory = resident_kib(service)
        return service

    def __exit__(self, kind, *_):
        with self.service as service:
            if kind is not None:
                return
            assert service.call("POST", "/v1/transit/encrypt/k", {"plaintext": PLAIN})[0] == 200
            assert children(service.process.pid) == self.processes, "a process has ended"
            until(lambda: all(count <= self.descriptors[who] + 1 for who, count in descriptors(service).items()),
                  f"descriptors: {self.descriptors} became {descriptors(service)}")
            until(lambda: resident_kib(service) < self.memory + 24 * 1024,
                  f"memory: {self.memory} KiB became {resident_kib(service)} KiB")
            assert service.end() == 0, service.stderr()
            assert "Sanitizer" not in service.stderr(), service.stderr()


# ---- shapes --------------------------------------------------------------------------------------------

SMUGGLED = "POST /v1/transit/keys/smuggled HTTP/1.1\r\nHost: x\r\nX-Vault-Token: {token}\r\nContent-Length: 0\r\n\r\n"


@case("smuggling: a request inside another one's body is not heard, whatever its length is said to be")
def _(place):
    shapes = ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
              "Content-Length: 0\r\nContent-Length: 5\r\n", "Content-Length: 0, 0\r\n", "Content-Length: +0\r\n",
              "Content-Length: -1\r\n", "Content-Length: 0x0\r\n", "Content-Length : 0\r\n", "Content-Length:\r\n 0\r\n",
              "Content-Length: 18446744073709551616\r\n", "Transfer-Encoding: xchunked\r\n",
              "Transfer-Encoding: chunked, identity\r\n", "Transfer-Encoding : chunked\r\n",
              "Transfer-Encoding:\x0bchunked\r\n", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
              "X: a\nContent-Length: 0\r\n", "X: a\rContent-Length: 0\r\n", "X: \0\r\nContent-Length: 0\r\n",
              "Expect: 200-ok\r\nContent-Length: 0\r\n")
    with Attacked(place) as service:
        for shape in shapes:
            head = f"POST /v1/transit/random HTTP/1.1\r\nHost: x\r\nX-Vault-Token: {service.token}\r\n{shape}\r\n0\r\n\r\n"
            got = statuses(say(service, (head + SMUGGLED.format(token=service.token)).encode()))
            assert all(status >= 400 for status in got) and len(got) <= 1, (shape, got)
            assert service.call("GET", "/v1/transit/keys/smuggled")[0] == 404, shape
        for line in ("GET  /v1/sys/health HTTP/1.1", "GET /v1/sys/health HTTP/1.0", "GET /v1/sys/health HTTP/9.9",
                     "GET /v1/sys/health", "GET http://x/v1/sys/health HTTP/1.1", "GET * HTTP/1.1", "get /v1/x HTTP/1.1",
                     "GET /v1/sys/health\x00 HTTP/1.1", "PRI * HTTP/2.0", "CONNECT x:1 HTTP/1.1"):
            got = statuses(say(service, f"{line}\r\nHost: x\r\nConnection: close\r\n\r\n".encode("latin-1")))
            assert all(400 <= status < 600 for status in got) and len(got) <= 1, (line, got)
        # The control: what is said properly is heard.
        got = statuses(say(service, SMUGGLED.format(token=service.token).encode()))
        found = service.call("GET", "/v1/transit/keys/smuggled")[0]
        assert (got, found) == ([200], 200), (got, found)


@case("other methods by header, two tokens, and tokens in wrong places count for nothing")
def _(place):
    with Attacked(place) as service:
        token = service.token
        for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
            answer = say(service, request(service, "GET", "/v1/transit/keys/k", more=f"{name}: DELETE\r\n"))
            assert statuses(answer) == [200], answer
        answer = say(service, request(service, "GET", "/v1/sys/mounts", more="X-Vault-Token: other\r\n"))
        assert statuses(answer) == [400] and token.encode() not in answer, answer
        answer = say(service, request(service, "GET", "/v1/sys/mounts", more="Authorization: Bearer other\r\n"))
        assert statuses(answer) == [400] and token.encode() not in answer, answer
        for path in (f"/v1/sys/mounts?token={token}", f"/v1/sys/mounts?X-Vault-Token={token}"):
            answer = say(service, f"GET {path} HTTP/1.1\r\nHost: x\r\nCookie: token={token}\r\n\r\n".encode())
            assert statuses(answer) == [403] and token.encode() not in answer, answer


@case("a status that a stranger asks for never takes the keeper from the door")
def _(place):
    with Attacked(place) as service:
        for code in ("0", "100", "101", "199", "204", "304", "600", "99999", "x", ""):
            answer = say(service, f"GET /v1/sys/health?activecode={code} HTTP/1.1\r\nHost: x\r\n\r\n"
                                  f"GET /v1/sys/seal-status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            first, *rest = statuses(answer)
            assert first in (204, 304, 400) and rest == [200], (code, answer)
            if first in (204, 304):
                assert b"cluster_name" not in answer.split(b"\r\n\r\n", 1)[1].split(b"HTTP/1.1", 1)[0], answer


@case("HEAD of a stream leaves no stream behind")
def _(place):
    with Attacked(place) as service:
        for _ in range(300): # more than there may be
            assert statuses(say_close(service, request(service, "HEAD", "/v1/lethe/events"))) == [200]
        with link(service) as sock:
            send(sock, request(service, "GET", "/v1/lethe/events"))
            assert statuses(sock.recv(4096)) == [200], "streams are used up"


def say_close(service, data):
    """What comes until the other end closes, which it must."""
    with link(service) as sock:
        sock.sendall(data)
        got = b""
        while piece := sock.recv(65536):
            got += piece
        return got


# ---- many, slow, gone ----------------------------------------------------------------------------------

@case("100 requests at once on one connection are answered in their order")
def _(place):
    with Attacked(place) as service:
        for number in range(100):
            assert service.call("POST", f"/v1/transit/keys/n{number}")[0] == 200
        every = b"".join(request(service, "GET", f"/v1/transit/keys/n{number}") for number in range(100))
        with link(service) as sock:
            sock.sendall(every)
            got = b""
            while len(re.findall(rb'"name":"n\d+"', got)) < 100:
                piece = sock.recv(65536)
                assert piece, got
                got += piece
        assert re.findall(rb'"name":"n(\d+)"', got) == [str(number).encode() for number in range(100)]


@case("slow heads and bodies end at their deadline, and hold up nobody")
def _(place):
    with Attacked(place, WIDE + "head_time = 1s\nbody_time = 1s\nhandshake_time = 1s\nidle_time = 2s\n") as service:
        whole = request(service, body=json.dumps({"plaintext": PLAIN}).encode())
        slow = [link(service) for _ in range(40)] + [raw(service) for _ in range(20)]
        begun = time.monotonic()
        for at in range(12):
            for number, sock in enumerate(slow):
                skip = 0 if number < 20 else whole.index(b"\r\n\r\n") + 4
                send(sock, whole[:skip + 1] if at == 0 else whole[skip + at:skip + at + 1])
            assert service.call("POST", "/v1/transit/encrypt/k", {"plaintext": PLAIN})[0] == 200
            time.sleep(0.25)
        for sock in slow:
            assert set(statuses(read_all(sock) if isinstance(sock, ssl.SSLSocket) else b"")) <= {408}
            sock.close()
        assert time.monotonic() - begun < 200


def half_open(service):
    hello = bytes.fromhex("1603010200010001fc0303") + bytes(32)
    half = []
    for number in range(1000):
        sock = raw(service)
        if number % 2:
            sock.sendall(hello)
        half.append(sock)
        if number % 100 == 0:
            assert service.call("GET", "/v1/sys/health")[0] == 200
    assert service.call("POST", "/v1/transit/encrypt/k", {"plaintext": PLAIN})[0] == 200
    for sock in half[::3]: # gone with a reset
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    until(lambda: descriptors(service)["door"] < 100, "half-open connections stay")
    for sock in half:
        sock.close()


@case("1,000 connections that are half open, or half shaken, hold up nobody")
def _(place):
    attacked = Attacked(place, WIDE + "handshake_time = 2s\n")
    with attacked as service:
        half_open(service)
        # What a thousand handshakes took from the heap serves the next thousand: it does not grow.
        attacked.memory = resident_kib(service) - 16 * 1024
        half_open(service)


@case("TLS garbage: plain HTTP, old versions, cut and false records")
def _(place):
    garbage = (b"GET /v1/sys/health HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\xff\xff" + bytes(70000), bytes(100),
               b"\x15\x03\x03\x00\x02\x02\x00", b"\x17\x03\x03\x00\x10" + bytes(16), b"\x80\x2e\x01\x00\x02" + bytes(60),
               b"\x16\x03\x01\x00\x00" * 1000, os.urandom(4096), b"\x16\x03\x03\x00\x04\x01\x00\xff\xff", b"SSH-2.0-x\r\n")
    with Attacked(place) as service:
        for data in garbage * 10:
            with raw(service) as sock:
                send(sock, data)
                assert b"HTTP/1.1 200" not in read_all(sock)
        context = ssl.create_default_context(cafile=str(service.ca))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.wrap_socket(raw(service), server_hostname=service.host)
            raise AssertionError("TLS 1.2 is spoken")
        except (ssl.SSLError, OSError):
            pass
        with link(service) as sock: # garbage behind a good handshake
            os.write(sock.fileno(), b"\x17\x03\x03\x00\x20" + os.urandom(32))
            assert b"HTTP/1.1 2" not in read_all(sock)


@case("lies about lengths: too much is 413 or 431 unread, too little waits, more is another request")
def _(place):
    with Attacked(place, WIDE + "body_time = 1s\n") as service:
        head = f"POST /v1/transit/random HTTP/1.1\r\nHost: x\r\nX-Vault-Token: {service.token}\r\n"
        assert statuses(say(service, f"{head}Content-Length: 9999999999\r\n\r\n{{}}".encode())) == [413]
        assert statuses(say(service, f"{head}Content-Length: {(32 << 20) + 1}\r\n\r\n".encode())) == [413]
        assert statuses(say(service, f"{head}Content-Length: 1000\r\n\r\n{{}}".encode(), 5)) == [408]
        assert statuses(say(service, f"{head}Content-Length: 2\r\n\r\n{{}}{{}}garbage\r\n\r\n".encode()))[:2] == [200, 400]
        for size in ("ffffffffffffffff1", "4000000", "2"): # no client sends chunks: none are taken
            got = statuses(say(service, f"{head}Transfer-Encoding: chunked\r\n\r\n{size}\r\n{{}}\r\n0\r\n\r\n".encode()))
            assert got == [501], (size, got)
        assert set(statuses(say(service, head.encode() + b"X: " + b"a" * (1 << 20)))) <= {431, 400}
        assert set(statuses(say(service, head.encode() + b"".join(b"X%d: a\r\n" % i for i in range(10000))))) <= {431, 400}
        assert set(statuses(say(service, b"GET /v1/" + b"a" * (1 << 20)))) <= {414, 431}
        # 64 MiB in many bodies at once, none of which comes to its end.
        many = [link(service) for _ in range(32)]
        for sock in many:
            send(sock, f"{head}Content-Length: {30 << 20}\r\n\r\n".encode() + b" " * (2 << 20))
        assert service.call("GET", "/v1/sys/health")[0] == 200
        for sock in many:
            sock.close()


@case("64 connections that vanish in the middle of large answers")
def _(place):
    with Attacked(place) as service:
        body = json.dumps({"batch_input": [{"plaintext": PLAIN}] * 10000}).encode()
        for ending in ("reset", "close"):
            many = []
            for _ in range(32):
                sock = link(service)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                sock.sendall(request(service, body=body))
                many.append(sock)
            for sock in many:
                assert sock.recv(1000).startswith(b"HTTP/1.1 200")
            for sock in many:
                if ending == "reset":
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.close()
        # Gone before there is an answer.
        for _ in range(32):
            with link(service) as sock:
                sock.sendall(request(service, body=body))


@case("a flood from one source: the limits answer 429, and later it is heard again")
def _(place):
    with Attacked(place, WIDE + "requests_per_second = 100\n") as service:
        time.sleep(2)
        seen = []
        for _ in range(400):
            seen.append(service.call("GET", "/v1/sys/health")[0])
        assert 429 in seen and set(seen) <= {200, 429}, set(seen)
        until(lambda: service.status("GET", "/v1/sys/health") == 200, "never heard again")
        time.sleep(1)  # for the calls that look at the service behind it


@case("wrong tokens are answered 429 after a few, and who has a good one is heard all the same")
def _(place):
    with Attacked(place) as service:
        seen = [service.status("GET", "/v1/sys/mounts", token=f"lethe.{number:043}") for number in range(12)]
        assert seen[:4] == [403] * 4 and seen[-1] == 429 and set(seen) == {403, 429}, seen
        assert service.status("GET", "/v1/sys/mounts") == 200


finish()
