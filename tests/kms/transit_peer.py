"""transit_peer.py CERTIFICATE KEY: a key service by another hand, with Vault's transit calls, for its clients.

Prints its port, serves loopback over TLS until its stdin ends, and takes the token "s.good". Paths below
/v1/control/ are for the test: next (what the next call is answered with), last (the last call's path and body),
revoke, lethe (whether lethe/keys/NAME/status is there), silent (it answers nothing any more).
"""
import base64
import http.server
import json
import os
import ssl
import sys
import threading
import time

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class Refused(Exception):
    def __init__(self, status, *texts):
        super().__init__(status)
        self.status, self.texts = status, texts


class State:
    keys = {}  # name: {"type", "versions": [key, ...], "smallest"}
    revoked = {}  # name: through which version
    next_answer = None
    last = {}
    speaks_lethe = True
    silent = False
    calls = 0


def make_version(kind):
    return ec.generate_private_key(ec.SECP256R1()) if kind == "ecdsa-p256" else os.urandom(32)


def key_of(name):
    if name not in State.keys:
        raise Refused(400, "encryption key not found")
    return State.keys[name]


def decoded(fields, name):
    return base64.b64decode(fields.get(name) or "", validate=True)


def encrypt(name, fields):
    key = key_of(name)
    if "batch_input" in fields:
        return {"batch_results": [encrypt(name, item) for item in fields["batch_input"]]}
    nonce = os.urandom(12)
    sealed = AESGCM(key["versions"][-1]).encrypt(nonce, decoded(fields, "plaintext"), decoded(fields, "associated_data"))
    return {"ciphertext": f"vault:v{len(key['versions'])}:" + base64.b64encode(nonce + sealed).decode()}


def decrypt(name, fields, renew=False):
    key = key_of(name)
    if "batch_input" in fields:
        return {"batch_results": [decrypt(name, item) for item in fields["batch_input"]]}
    vault, version, text = fields["ciphertext"].split(":")
    number = int(version[1:])
    if vault != "vault" or not 1 <= number <= len(key["versions"]):
        raise Refused(400, "invalid ciphertext")
    if not renew and number <= State.revoked.get(name, 0):
        raise Refused(403, "the key was revoked")
    raw = base64.b64decode(text)
    try:
        plain = AESGCM(key["versions"][number - 1]).decrypt(raw[:12], raw[12:], decoded(fields, "associated_data"))
    except InvalidTag as error:
        raise Refused(400, "it does not open") from error
    return {"plaintext": base64.b64encode(plain).decode()}


def rewrap(name, fields):
    results = []
    for item in fields["batch_input"]:
        try:
            plain = decrypt(name, item, renew=True)
            results.append(encrypt(name, {**item, **plain}))
        except Refused as refused:
            results.append({"error": refused.texts[0]})
    return {"batch_results": results}


def sign(name, fields):
    key = key_of(name)
    signature = key["versions"][-1].sign(decoded(fields, "input"), ec.ECDSA(hashes.SHA256()))
    return {"signature": f"vault:v{len(key['versions'])}:" + base64.b64encode(signature).decode()}


def describe(name):
    if name not in State.keys:
        raise Refused(404)
    key = State.keys[name]
    versions = {}
    for number, version in enumerate(key["versions"], 1):
        versions[str(number)] = 1790000000 if isinstance(version, bytes) else {
            "public_key": version.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()}
    return {"name": name, "type": key["type"], "latest_version": len(key["versions"]), "keys": versions,
            "min_decryption_version": key["smallest"]}


def create(name, fields):
    kind = fields.get("type", "aes256-gcm96")
    State.keys.setdefault(name, {"type": kind, "versions": [make_version(kind)], "smallest": 1})
    return describe(name)


def rotate(name):
    key = key_of(name)
    key["versions"].append(make_version(key["type"]))
    return describe(name)


def status_of(name, query):
    if not State.speaks_lethe or name not in State.keys:
        raise Refused(404)
    number = int(query.partition("version=")[2])
    reason = "revoked" if number <= State.revoked.get(name, 0) else ""
    reason = "no such version" if number > len(State.keys[name]["versions"]) else reason
    return {"usable": not reason, "reason": reason}


def control(what, fields):
    if what == "next":
        State.next_answer = (fields["status"], fields["body"].encode())
    elif what == "revoke":
        State.revoked[fields["key"]] = fields["through"]
    elif what == "smallest":
        State.keys[fields["key"]]["smallest"] = fields["version"]
    elif what == "lethe":
        State.speaks_lethe = fields["speaks"]
    elif what == "silent":
        State.silent = True
    elif what == "token":
        Handler.token = fields["token"]
    return {"last": State.last, "calls": State.calls}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    token = "s.good"

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def dispatch(self, parts, query, fields):
        if parts[0] == "control":
            return control(parts[1], fields)
        if self.headers.get("X-Vault-Token") != self.token:
            raise Refused(403, "permission denied")
        if parts[:2] == ["lethe", "keys"] and parts[3] == "status":
            return status_of(parts[2], query)
        if parts[0] != "transit":
            raise Refused(404)
        if parts[1] == "keys":
            if parts[3:] == ["rotate"]:
                return rotate(parts[2])
            return create(parts[2], fields) if self.command == "POST" else describe(parts[2])
        return {"encrypt": encrypt, "decrypt": decrypt, "rewrap": rewrap, "sign": sign}[parts[1]](parts[2], fields)

    def handle_call(self):
        path, _, query = self.path.partition("?")
        parts = path.removeprefix("/v1/").split("/")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fields = json.loads(body or b"{}")
        if parts[0] != "control":
            if State.silent:
                time.sleep(30)
            State.calls += 1
            State.last = {"path": self.path, "fields": fields}
            if State.next_answer is not None:
                (status, raw), State.next_answer = State.next_answer, None
                return self.answer(status, raw)
        try:
            return self.answer(200, json.dumps({"data": self.dispatch(parts, query, fields)}).encode())
        except Refused as refused:
            return self.answer(refused.status, json.dumps({"errors": refused.texts}).encode())

    do_GET = do_POST = handle_call  # as the library names them


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
