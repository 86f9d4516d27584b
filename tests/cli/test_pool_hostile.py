"""Peers that a pool's processes cannot trust, though TLS believes them: frames of every kind at the wrong moment,
floods, connections that say nothing, sizes past every edge. Nothing ends, nothing grows, and others are served."""
import base64
import os
import random
import resource
import socket
import ssl
import struct
import time

from kms_processes import until
from pool_lender import (ALLOCATE, ATTACH, BLOCK, CODES, HELLO, OVER, READ, RELEASE, RENEW, WRITE, Lender, Wire,
                         allocate)
from pool_world import ANNA, NODE, World
from scenario import LONG, case, finish

TOKEN, DROP = 17, 18
NUMBERS = (0, HELLO, ATTACH, READ, WRITE, RENEW, RELEASE, OVER, 8, 15, *range(16, 26), *range(32, 39), 127, 128,
           *(128 + number for number in (1, 2, 3, 4, 7, 16, 32)), 255)
FLOODS = 8  # connections
FLOOD_MAY_TAKE_KIB = FLOODS * 1024 + 8192
RANDOM_CONNECTIONS = 2000 if LONG else 60
SILENT = 900 if LONG else 100


class Pool:
    def __init__(self, place):
        self.world = World(place).start()
        for name, spiffe in (("node", NODE), ("anna", ANNA), ("otto", "spiffe://example.org/tenant/acme/otto")):
            self.world.issue(name, spiffe)
        self.lender = Lender(self.world, memory="32M").start()
        self.address = self.lender.says["address"]

    def dial(self, address, who="anna"):
        """TLS, and nothing said."""
        work = self.world.place.work
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(work / "ca.pem")
        context.load_cert_chain(work / f"{who}.pem", work / f"{who}.key")
        host, port = address.rsplit(":", 1)
        return context.wrap_socket(socket.create_connection((host, int(port)), timeout=15))

    def serves(self):
        assert self.world.control.poll() is None and self.lender.process.poll() is None, self.world.said()
        _, token, _ = allocate(self.world)
        wire = Wire(self.world, self.address)
        frame = wire.attach(token)
        assert frame["code"] == 0, frame
        assert wire.write(frame["channel"], 0, b"x" * BLOCK) == 0
        assert wire.read(frame["channel"], 0) == b"x" * BLOCK
        wire.ask(RELEASE, channel=frame["channel"])
        wire.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lender.__exit__()
        self.world.__exit__()


def head(kind, request=1, code=0, channel=0, index=0, data=0, flags=0):
    return struct.pack("<BBHIQIIQ", kind, flags, code, channel, request, index, data, 0)


def hello(role=1):
    name = b"lethe-pool/1"
    return head(HELLO, index=5 + len(name)) + struct.pack("<I", len(name)) + name + bytes([role])


def is_ended(tls):
    try:
        while tls.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(next(line for line in status if line.startswith("VmRSS:")).split()[1])


@case("frames of every number before HELLO end the connection, and so do two of it, and roles that are none")
def _(place):
    with Pool(place) as pool:
        for address in (pool.address, pool.world.address):
            for number in NUMBERS:
                if number != HELLO:
                    with pool.dial(address) as tls:
                        tls.sendall(head(number))
                        assert is_ended(tls), (address, number)
        for said in (hello() + hello(), head(HELLO, index=17, flags=1), *(hello(role) for role in (0, 2, 3, 4, 255)),
                     *(hello() + head(number, 2) for number in (TOKEN, 19, 32, 34, 35, 36, 37, 128 + READ))):
            with pool.dial(pool.address) as tls:
                tls.sendall(said)
                assert is_ended(tls), said
        pool.serves()


@case("frames of any content end nothing but their connection")
def _(place):
    chance = random.Random(7)
    with Pool(place) as pool:
        _, token, _ = allocate(pool.world)
        for _ in range(RANDOM_CONNECTIONS):
            said = hello(chance.choice((1, 1, 1, 2, 3)))
            if chance.random() < 0.5:
                said += head(ATTACH, 2, index=len(token)) + token
            for request in range(3, 3 + chance.randrange(6)):
                index = chance.choice((0, 8, 16, 21, 24, 48, 1000, 65536, 65537, 2**32 - 1))
                data = chance.choice((0, 0, 0, 4096, BLOCK, 4 << 20, (4 << 20) + 1, 2**32 - 1))
                said += head(chance.choice(NUMBERS), request, code=chance.choice((0, 1, 2, 255, 256, 257, 65535)),
                             channel=chance.choice((0, 1, 2, 64, 65, 2**32 - 1)), index=index, data=data)
                said += chance.randbytes(min(index, 70000)) + bytes(min(data, 70000))
            with pool.dial(chance.choice((pool.address, pool.world.address))) as tls:
                try:
                    tls.sendall(said)
                except OSError:
                    pass  # it was ended before all was said
        pool.serves()


@case("who asks for much and takes nothing does not make a provider grow")
def _(place):
    with Pool(place) as pool:
        before = resident_kib(pool.lender.process.pid)
        wires = []
        blocks = b"".join(struct.pack("<Q", block) for block in range(16))
        for _ in range(FLOODS):
            _, token, _ = allocate(pool.world, 16 * BLOCK)
            wire = Wire(pool.world, pool.address)
            channel = wire.attach(token)["channel"]
            wire.tls.setblocking(False)
            try:
                for request in range(wire.request + 1, 5000):
                    wire.tls.sendall(head(READ, request, 16, channel, len(blocks)) + blocks)
            except (ssl.SSLWantWriteError, BlockingIOError):
                pass
            wires.append(wire)
        pool.serves()
        grown = resident_kib(pool.lender.process.pid) - before
        print(f"# {FLOODS} floods: {grown} KiB")
        assert grown < FLOOD_MAY_TAKE_KIB, grown


@case("connections that say nothing are in nobody's way")
def _(place):
    with Pool(place) as pool:
        silent = []
        for address in (pool.address, pool.world.address):
            host, port = address.rsplit(":", 1)
            silent += [socket.create_connection((host, int(port)), timeout=15) for _ in range(SILENT)]
        for part in silent:
            part.send(b"\x16\x03\x01")  # a handshake that begins
        pool.serves()
        for each in silent:
            each.close()


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        return sum(map(int, stat.read().rsplit(")", 1)[1].split()[11:13])) / os.sysconf("SC_CLK_TCK")


@case("who has no descriptor left waits for one without spinning, and goes on when there are some")
def _(place):
    with Pool(place) as pool:
        for pid, address in ((pool.world.control.pid, pool.world.address), (pool.lender.process.pid, pool.address)):
            limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            highest = max(map(int, os.listdir(f"/proc/{pid}/fd")))
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 1, limits[1]))
            host, port = address.rsplit(":", 1)
            waiting = [socket.create_connection((host, int(port)), timeout=15) for _ in range(40)]
            time.sleep(0.2)
            before, began = cpu_seconds(pid), time.monotonic()
            time.sleep(1.5)
            used = (cpu_seconds(pid) - before) / (time.monotonic() - began)
            print(f"# {used:.2f} of a core while nothing can be done")
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
            for each in waiting:
                each.close()
            assert used < 0.1, used
        pool.serves()


@case("allocations that cannot be are refused, and others' leases are as if they were none")
def _(place):
    minute = 60000
    with Pool(place) as pool:
        wire = Wire(pool.world, pool.world.address)
        for size, block, ttl_ms, copies in (
                (2**63, BLOCK, minute, 1), (2**63, 4096, minute, 8), (2**64 - BLOCK, BLOCK, minute, 3),
                ((2**32 - 1) * 4096, 4096, minute, 1), (0, BLOCK, minute, 1), (BLOCK + 1, BLOCK, minute, 1),
                (BLOCK, 3, minute, 1), (BLOCK, 0, minute, 1), (BLOCK, BLOCK, 0, 1), (BLOCK, BLOCK, 2**64 - 1, 1),
                (BLOCK, BLOCK, minute, 0), (BLOCK, BLOCK, minute, 255), (BLOCK, BLOCK, minute, 2)):
            frame = wire.ask(ALLOCATE, struct.pack("<QIQB", size, block, ttl_ms, copies))
            assert frame["code"] != 0 and frame["index"], (size, block, ttl_ms, copies)
        lease, token, _ = allocate(pool.world)
        otto = Wire(pool.world, pool.world.address, who="otto")
        for kind in (TOKEN, DROP):
            theirs, nobodys = (otto.ask(kind, lease_id) for lease_id in (bytes.fromhex(lease), os.urandom(16)))
            assert theirs["code"] == nobodys["code"] == CODES["not_found"]
            assert theirs["index"] == nobodys["index"]
        assert Wire(pool.world, pool.address, who="otto").attach(token)["code"] == CODES["denied"]
        pool.serves()


@case("tokens are in no log and no file")
def _(place):
    with Pool(place) as pool:
        _, token, _ = allocate(pool.world)
        wire = Wire(pool.world, pool.address)
        assert wire.attach(token)["code"] == 0
        forged = token[:-1] + bytes([token[-1] ^ 1])
        assert wire.attach(forged)["code"] == CODES["denied"]
        until(lambda: pool.lender.records("lease_attached"), "nothing is on record")
        signature = token[-64:-1]
        words = [signature, signature[:24].hex().encode(), base64.b64encode(token[-64:])[:24]]
        for path in place.root.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                assert not any(word in content for word in words), path


finish()
