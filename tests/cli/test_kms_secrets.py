#!/usr/bin/python3
"""Secrets of the key service stay where they belong: not in what it writes, not in argv or environment, not in
a core file, and not in memory behind a request. Each search has a control that finds something (C-3, K-4, K-12)."""
import base64
import http.client
import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import time

from kms_processes import WAIT_S, Service, children, occurrences, settings, until
from scenario import LONG, Skip, case, finish

PASSPHRASE = f"passphrase {secrets.token_hex(12)}"
REQUESTS = 100_000 if LONG else 2_500


def b64(data):
    return base64.b64encode(data).decode()


class Markers:
    """What is secret, by what it is called: each as it is, and as it is written in JSON."""

    def __init__(self):
        self.known = {}

    def add(self, what, data):
        self.known[what] = data
        self.known[f"{what}, in base64"] = base64.b64encode(data).rstrip(b"=")
        return data

    def text(self, what, text):
        self.known[what] = text.encode()
        return text


class Operator:
    """Calls over the admin socket: frames as service/wire.h has them."""

    def __init__(self, service):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(WAIT_S)
        self.socket.connect(str(service.place.home / "run" / "admin.sock"))
        self.number = 0

    def take(self, count):
        got = b""
        while len(got) < count:
            piece = self.socket.recv(count - len(got))
            assert piece, "the keeper has closed"
            got += piece
        return got

    def call(self, method, path, body=None):
        self.number += 1
        parts = (b"", f"/v1/{path}".encode(), b"", b"" if body is None else json.dumps(body).encode())
        frame = struct.pack("<BBHQQ", 1, 0, {"GET": 1, "POST": 2, "DELETE": 4, "LIST": 8}[method], 1, self.number)
        frame += b"".join(struct.pack("<I", len(part)) + part for part in parts)
        self.socket.sendall(struct.pack("<I", len(frame)) + frame)
        while True:
            answer = self.take(struct.unpack("<I", self.take(4))[0])
            _, _, code, _, number = struct.unpack("<BBHQQ", answer[:20])
            if number != self.number:
                continue
            skip = 24 + struct.unpack("<I", answer[20:24])[0]
            text = answer[skip + 4:]
            return code, json.loads(text) if text else None


def init(place, root):
    if root == "file":
        place.good("kms", "init", "-o", place.work / "token")
        return
    reading, writing = os.pipe()
    os.write(writing, f"{PASSPHRASE}\n".encode())
    os.close(writing)
    try:
        made = place.lethe("kms", "init", "--root", "passphrase", "--passphrase-fd", reading, "-o",
                           place.work / "token", pass_fds=(reading,))
        assert made.code == 0, made
    finally:
        os.close(reading)


def start(place, root, markers):
    init(place, root)
    settings(place, "[listen]\naddress = 127.0.0.1:0\n[limits]\nhandshakes_per_second = 10000\npenalty = 1ms\n")
    service = Service(place)
    if root == "passphrase":
        markers.text("the passphrase", PASSPHRASE)
        # Its door gets its certificate of the keeper, only then.
        operator = Operator(service)
        assert operator.call("POST", "sys/unseal", {"key": PASSPHRASE})[0] == 200
        operator.socket.close()
        until(lambda: service.status("GET", "/v1/sys/health") == 200, "it stays sealed")
    service.token = markers.text("the root token", (place.work / "token").read_text().strip())
    (place.work / "token").unlink()
    return service


class Calls:
    """One call of every kind, with secrets of this run in it."""

    def __init__(self, service, markers):
        self.service, self.markers, self.sent = service, markers, 0
        self.plain = markers.add("a plaintext", b"plaintext " + secrets.token_hex(16).encode())
        self.input = markers.add("what is signed", b"input " + secrets.token_hex(16).encode())
        self.unknown = markers.text("an unknown field", secrets.token_hex(20))
        self.wrong = markers.text("a wrong token", "lethe." + secrets.token_hex(21) + "A")
        for name, kind in (("k", "aes256-gcm96"), ("s", "ecdsa-p256"), ("e", "ed25519")):
            self.must("POST", f"transit/keys/{name}", {"type": kind, "exportable": True, "allow_plaintext_backup": True})
        self.must("POST", "pki/root/generate/internal", {"common_name": "root"})
        self.must("POST", "pki/roles/r", {"allow_any_name": True, "key_type": "ec"})
        self.kinds = (self.crypt, self.many, self.sign, self.hmac, self.datakey, self.token, self.refused, self.others)

    def must(self, method, path, body=None, token=None):
        if body is not None:
            body = {**body, "unknown": self.unknown}
        self.sent += 1
        status, answer = self.service.call(method, f"/v1/{path}", body, token)
        assert status in (200, 204), (path, status, answer)
        return answer

    def crypt(self):
        made = self.must("POST", "transit/encrypt/k", {"plaintext": b64(self.plain), "associated_data": b64(self.input)})
        text = made["data"]["ciphertext"]
        opened = self.must("POST", "transit/decrypt/k", {"ciphertext": text, "associated_data": b64(self.input)})
        assert opened["data"]["plaintext"] == b64(self.plain)
        self.must("POST", "transit/rewrap/k", {"ciphertext": text, "associated_data": b64(self.input)})

    def many(self):
        made = self.must("POST", "transit/encrypt/k", {"batch_input": [{"plaintext": b64(self.plain)}] * 20})
        self.must("POST", "transit/decrypt/k", {"batch_input": [{"ciphertext": one["ciphertext"]}
                                                                for one in made["data"]["batch_results"]]})

    def sign(self):
        for name in ("s", "e"):
            made = self.must("POST", f"transit/sign/{name}", {"input": b64(self.input)})
            self.must("POST", f"transit/verify/{name}", {"input": b64(self.input),
                                                         "signature": made["data"]["signature"]})

    def hmac(self):
        self.must("POST", "transit/hmac/k", {"input": b64(self.plain)})
        self.must("POST", "transit/hash", {"input": b64(self.plain)})

    def datakey(self):
        made = self.must("POST", "transit/datakey/plaintext/k", {"bits": 256})["data"]["plaintext"]
        self.markers.add("a data key", base64.b64decode(made))
        made = self.must("POST", "transit/random", {"bytes": 32})["data"]["random_bytes"]
        self.markers.add("random bytes", base64.b64decode(made))

    def token(self):
        made = self.must("POST", "auth/token/create", {"policies": ["default"], "ttl": 600})["auth"]
        token = self.markers.text("a token", made["client_token"])
        self.must("GET", "auth/token/lookup-self", token=token)
        self.must("POST", "auth/token/lookup", {"token": token})
        self.must("POST", "auth/token/renew-self", {"increment": 60}, token)
        self.must("POST", "auth/token/revoke", {"token": token})

    def refused(self):
        """What is wrong is said, and not repeated."""
        encoded = b64(self.plain)
        for path, body in (("transit/encrypt/k", {"plaintext": encoded + "?"}), ("transit/encrypt/k", {"plaintext": [encoded]}),
                           ("transit/decrypt/k", {"ciphertext": f"vault:v1:{encoded}"}), ("transit/decrypt/k", {"ciphertext": encoded}),
                           (f"transit/encrypt/k?plaintext={encoded}&key_version=x", {}),
                           ("transit/sign/k", {"input": encoded}), ("transit/hash", {"input": encoded, "algorithm": encoded}),
                           ("auth/token/create", {"policies": [f"{encoded}?"]}), ("pki/sign/r", {"csr": encoded}),
                           ("auth/token/create", {"id": encoded, "ttl": "x"}), (f"no/such/{encoded}", {})):
            status, answer = self.service.call("POST", f"/v1/{path}", body)
            assert status in (400, 404), (path, status, answer)
            assert encoded not in json.dumps(answer) and self.plain.decode() not in json.dumps(answer), (path, answer)
        status, answer = self.service.call("POST", "/v1/auth/token/lookup", {"token": self.wrong})
        assert status == 403 and self.wrong not in json.dumps(answer)

    def others(self):
        made = self.must("POST", "pki/issue/r", {"common_name": "a.example.org"})["data"]["private_key"]
        self.markers.text("a private key", made.splitlines()[2])
        for method, path in (("GET", "transit/keys/k"), ("LIST", "transit/keys"), ("GET", "sys/mounts"),
                             ("GET", "lethe/rotation"), ("GET", "sys/health")):
            self.must(method, path)

    def wrong_token(self):
        assert self.service.status("GET", "/v1/sys/mounts", token=self.wrong) in (403, 429, None)
        until(lambda: self.service.status("GET", "/v1/sys/mounts") == 200, "it waits for ever")


def export(service, calls):
    """Key material itself, as only an operator gets it."""
    operator = Operator(service)
    for kind, name in (("encryption-key", "k"), ("hmac-key", "k"), ("signing-key", "s"), ("signing-key", "e")):
        assert service.call("GET", f"/v1/transit/export/{kind}/{name}")[0] == 403
        status, answer = operator.call("GET", f"transit/export/{kind}/{name}")
        assert status == 200, answer
        material = answer["data"]["keys"]["1"]
        if "BEGIN" in material:
            calls.markers.text(f"the {kind} of {name}", material.splitlines()[1])
        else:
            calls.markers.add(f"the {kind} of {name}", base64.b64decode(material))
    status, answer = operator.call("GET", "transit/backup/k")
    assert status == 200, answer
    operator.socket.close()


def processes(service):
    return {"supervisor": service.process.pid, **{who: pid for who, pid in children(service.process.pid).items()
                                                  if who in ("keeper", "door")}}


def found_in(data, markers):
    return [what for what, marker in markers.known.items() if marker in data]


def assert_not_written(service, markers):
    """Files, stderr, argv, environment."""
    seen = 0
    for path in (*service.place.home.rglob("*"), pathlib.Path(service.errors.name)):
        if path.is_file():
            data = path.read_bytes()
            seen += len(data)
            assert not found_in(data, markers), (path, found_in(data, markers))
    assert seen >= REQUESTS
    for who, pid in processes(service).items():
        for name in ("environ", "cmdline"):
            data = pathlib.Path(f"/proc/{pid}/{name}").read_bytes()
            assert not found_in(data, markers), (who, name, found_in(data, markers))
    # The controls: names are there, where secrets are not.
    log = b"".join(path.read_bytes() for path in (service.place.home / "audit").glob("*.jsonl"))
    assert b"key_created" in log
    assert b"kms" in pathlib.Path(f"/proc/{service.process.pid}/cmdline").read_bytes()


def in_memory(service, markers):
    return {(who, what): count for who, pid in processes(service).items()
            for what, marker in markers.known.items() if (count := occurrences(pid, marker))}


def need_root():
    if os.geteuid() != 0:
        raise Skip("reading the service's memory takes root")


def hold(service, body):
    """All of a request but its last byte."""
    context = ssl.create_default_context(cafile=str(service.ca))
    link = context.wrap_socket(socket.create_connection((service.host, int(service.port)), WAIT_S),
                               server_hostname=service.host)
    link.sendall((f"POST /v1/transit/encrypt/k HTTP/1.1\r\nHost: x\r\nX-Vault-Token: {service.token}\r\n"
                  f"Content-Length: {len(body)}\r\n\r\n").encode() + body[:-1])
    return link


# ---- what is written -----------------------------------------------------------------------------------

def nothing_is_written(place, root):
    markers = Markers()
    with start(place, root, markers) as service:
        calls = Calls(service, markers)
        for _ in range(25): # of eight kinds
            for kind in calls.kinds:
                kind()
        calls.wrong_token()
        export(service, calls)
        assert_not_written(service, markers)
        assert service.end() == 0, service.stderr()
        leftover = [path for path in (*place.home.rglob("*"), place.root / "errors") if path.is_file() and
                    found_in(path.read_bytes(), markers)]
        assert not leftover, leftover


@case("root in a file: no plaintext, token or key in store, log, stderr, argv or environment")
def _(place):
    nothing_is_written(place, "file")


@case("root from a passphrase: the same, and no passphrase")
def _(place):
    nothing_is_written(place, "passphrase")


# ---- memory --------------------------------------------------------------------------------------------

@case("memory: behind the requests nothing of them is left in door, keeper and supervisor")
def _(place):
    need_root()
    markers = Markers()
    with start(place, "passphrase", markers) as service:
        calls = Calls(service, markers)
        link = hold(service, json.dumps({"plaintext": b64(calls.plain)}).encode())
        # The control: while a request is open, it is found.
        encoded = markers.known["a plaintext, in base64"]
        until(lambda: occurrences(processes(service)["door"], encoded), "the scan finds nothing at all")
        assert occurrences(processes(service)["door"], service.token.encode())
        link.close()
        begun = time.monotonic()
        while calls.sent < REQUESTS:
            for kind in calls.kinds:
                kind()
        print(f"# {calls.sent} requests in {time.monotonic() - begun:.0f} s")
        calls.wrong_token()
        export(service, calls)
        time.sleep(1.5)
        left = in_memory(service, markers)
        keys = {place for place in left if place[1].startswith(("the encryption-key", "the hmac-key", "the signing-key"))}
        print(f"# of keys in use, the keeper's memory has: {', '.join(f'{what} {left[who, what]} times' for who, what in sorted(keys)) or 'none'}")
        assert not [place for place in keys if place[0] != "keeper"], keys
        assert not set(left) - keys, left
        assert all(left[key] == 1 for key in keys), left # where it is used, and no copy
        # Sealed, it has forgotten these, too.
        assert service.call("POST", "/v1/sys/seal")[0] == 204
        until(lambda: service.call("GET", "/v1/sys/health")[1]["sealed"], "it is not sealed")
        time.sleep(0.5)
        left = in_memory(service, markers)
        assert not left, left
        assert service.end() == 0


# ---- core files ----------------------------------------------------------------------------------------

def dump(place, pid, name):
    path = place.work / name
    done = subprocess.run(["gcore", "-o", path, str(pid)], capture_output=True, timeout=120, check=False)
    made = pathlib.Path(f"{path}.{pid}")
    return (made.read_bytes() if made.exists() else None), done


@case("core files: what a debugger dumps has no secrets in it, and a crash leaves none")
def _(place):
    need_root()
    if not shutil.which("gcore"):
        raise Skip("no gcore")
    markers = Markers()
    with start(place, "file", markers) as service:
        calls = Calls(service, markers)
        for kind in calls.kinds:
            kind()
        export(service, calls)
        # The control: of a process like any other, the dump has what it holds.
        other = subprocess.Popen(["/usr/bin/python3", "-c", "import sys,time;x=sys.stdin.readline();print(1,flush=True);time.sleep(60)"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        other.stdin.write(calls.plain + b"\n")
        other.stdin.flush()
        other.stdout.readline()
        data, done = dump(place, other.pid, "control")
        other.kill()
        other.wait(WAIT_S)
        if data is None:
            raise Skip(f"gcore dumps nothing here: {done.stderr[-200:]!r}")
        assert calls.plain in data
        # With a request open: even that lies in memory that is not dumped.
        link = hold(service, json.dumps({"plaintext": b64(calls.plain)}).encode())
        time.sleep(0.5)
        for who, pid in processes(service).items():
            data, _ = dump(place, pid, who)
            print(f"# core of {who}: {'none' if data is None else f'{len(data)} bytes'}")
            if data is not None:
                assert not found_in(data, markers), (who, found_in(data, markers))
                assert b"lethe" in data
        link.close()
        for path in place.work.iterdir():
            path.unlink()
        door = processes(service)["door"]
        os.kill(door, signal.SIGABRT)
        until(lambda: processes(service).get("door") not in (None, door), "no door came back")
        until(lambda: service.status("GET", "/v1/sys/health") == 200, "it does not answer")
        cores = [path for path in (*place.root.rglob("*core*"), *pathlib.Path("/").glob(f"core*{door}*"))
                 if path.is_file()]
        assert not cores, cores
        assert service.end() == 0


finish()
