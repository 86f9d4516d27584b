"""pool_lender.py: a provider that runs, in a home of its own, and a consumer that speaks frames by hand."""
import json
import os
import pathlib
import signal
import socket
import ssl
import struct

from kms_processes import WAIT_S, until
from pool_world import CONTROL, World
from scenario import LETHE

HELLO, ATTACH, READ, WRITE, RENEW, RELEASE, OVER, ALLOCATE = 1, 2, 3, 4, 5, 6, 7, 16
CODES = {"ok": 0, "not_found": 3, "denied": 9, "revoked": 10, "lost": 13}
BLOCK = 65536


class Lender:
    """`lethe pool provide` in place.root/lender; `says` is what it says when it is ready."""

    def __init__(self, world, *more, memory="16M", who="node", listen="127.0.0.1:0"):
        self.world = world
        self.place = world.place
        self.home = self.place.root / "lender"
        self.env = {**self.place.env, "LETHE_HOME": str(self.home), "XDG_CONFIG_HOME": str(self.place.root / "lender-config")}
        if not self.home.exists():
            done = self.place.lethe("init", env=self.env)
            assert done.code == 0, done
        self.words = ["pool", "provide", "--json", "--control", world.address, "--control-id", CONTROL,
                      *world.credentials(who), *more]
        if memory:
            self.words += ["--memory", memory]
        if listen:
            self.words += ["--listen", listen]
        self.process = None

    def start(self):
        self.errors = open(self.place.root / "lender-errors", "w+b")
        self.process = self.place.start(*self.words, env=self.env)
        line = self.process.stdout.readline()
        assert line, (self.process.wait(WAIT_S), self.process.stderr.read().decode())
        self.says = json.loads(line)
        return self

    def refused(self, code):
        done = self.place.lethe(*self.words, env=self.env)
        assert done.code == code, done
        return done

    def records(self, event):
        done = self.place.lethe("audit", "show", "--json", env=self.env)
        assert done.code == 0, done
        return [row for row in map(json.loads, done.out.splitlines()) if row["event"] == event]

    def end(self, number=signal.SIGTERM):
        """Its exit code, and what it said on stderr."""
        self.process.send_signal(number)
        code = self.process.wait(WAIT_S)
        self.process.stdout.close()
        said = self.process.stderr.read().decode()
        self.process.stderr.close()
        self.process = None
        return code, said

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process is not None:
            self.end(signal.SIGKILL)


class Wire:
    """A connection with somebody of a pool, as `who`."""

    def __init__(self, world, address, who="anna"):
        work = world.place.work
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(work / "ca.pem")
        context.load_cert_chain(work / f"{who}.pem", work / f"{who}.key")
        host, port = address.rsplit(":", 1)
        self.tls = context.wrap_socket(socket.create_connection((host, int(port)), timeout=WAIT_S))
        self.request = 0
        name = b"lethe-pool/1"
        self.hello = self.ask(HELLO, struct.pack("<I", len(name)) + name + b"\x01")

    def send(self, kind, index=b"", data=b"", code=0, channel=0):
        self.request += 1
        head = struct.pack("<BBHIQIIQ", kind, 0, code, channel, self.request, len(index), len(data), 0)
        self.tls.sendall(head + index + data)

    def take(self, size):
        got = b""
        while len(got) < size:
            piece = self.tls.recv(size - len(got))
            if not piece:
                raise ConnectionError("the connection has ended")
            got += piece
        return got

    def frame(self):
        kind, _, code, channel, request, index, data, value = struct.unpack("<BBHIQIIQ", self.take(32))
        return {"type": kind, "code": code, "channel": channel, "request": request, "value": value,
                "index": self.take(index), "data": self.take(data)}

    def ask(self, kind, index=b"", data=b"", code=0, channel=0):
        """The reply; notices in front of it are passed over."""
        self.send(kind, index, data, code, channel)
        while True:
            frame = self.frame()
            if frame["request"] == self.request:
                return frame

    def attach(self, token):
        return self.ask(ATTACH, token)

    def write(self, channel, block, data):
        return self.ask(WRITE, struct.pack("<Q", block) + b"t" * 16, data, 1, channel)["code"]

    def read(self, channel, block):
        frame = self.ask(READ, struct.pack("<Q", block), b"", 1, channel)
        return frame["data"] if frame["code"] == 0 else frame["code"]

    def ends(self):
        """Whether it is ended by the other side; what comes before is given."""
        seen = []
        try:
            while True:
                seen.append(self.frame())
        except (ConnectionError, ssl.SSLError, OSError):
            return seen

    def close(self):
        self.tls.close()


def allocate(world, size=8 * BLOCK, ttl_ms=60000, who="anna"):
    """(lease as hex, token, provider's address)"""
    wire = Wire(world, world.address, who)
    frame = wire.ask(ALLOCATE, struct.pack("<QIQB", size, BLOCK, ttl_ms, 1))
    wire.close()
    assert frame["code"] == 0, frame
    index = frame["index"]
    lease, at = index[1:17].hex(), 17
    texts = []
    for _ in range(3):
        size = struct.unpack_from("<I", index, at)[0]
        texts.append(index[at + 4:at + 4 + size])
        at += 4 + size
    return lease, texts[2], texts[1].decode()
