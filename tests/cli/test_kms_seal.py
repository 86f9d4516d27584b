#!/usr/bin/python3
"""A seal while 64 clients unwrap, decrypt and sign: each answer is whole or 503, and no key is left in the keeper's
memory. The search has a control that finds them before (K-4, K-12)."""
import base64
import http.client
import json
import os
import threading
import time

from kms_processes import WAIT_S, children, dev, occurrences, settings, until
from scenario import Skip, case, finish

CLIENTS = 64
WIDE = "[limits]\nconnections_per_source = 20000\nhandshakes_per_second = 100000\n"
MODEL = "default.m.hot"


def b64(data):
    return base64.b64encode(data).decode()


class Client(threading.Thread):
    """Asks over a connection of its own until the service says that it is sealed. `wrong` is what no seal excuses."""

    def __init__(self, crowd, kind):
        super().__init__(daemon=True)
        self.crowd, self.kind = crowd, kind
        self.connection = crowd.service.connect()
        self.connection.connect()
        self.whole = self.refused = 0
        self.wrong = None

    def ask(self):
        path, body, check = self.kind
        self.connection.request("POST", path, json.dumps(body), {"X-Vault-Token": self.crowd.service.token})
        answer = self.connection.getresponse()
        document = json.loads(answer.read())
        if answer.status == 200:
            assert check(document["data"]), document
            self.whole += 1
            self.crowd.answered[self] = self.whole
            return True
        assert answer.status == 503 and list(document) == ["errors"], (answer.status, document)
        self.refused += 1
        return False

    def run(self):
        try:
            while self.ask():
                pass
            assert not self.ask() # over the same connection
        except (AssertionError, OSError, ValueError, KeyError, http.client.HTTPException) as why:
            self.wrong = why
        self.connection.close()


class Crowd:
    def __init__(self, service):
        self.service, self.answered = service, {}
        good = self.good
        for name, kind in (("k", "aes256-gcm96"), ("s", "ecdsa-p256"), (MODEL, "aes256-gcm96")):
            good(f"keys/{name}", {"type": kind, "exportable": True})
        plain = b64(b"p" * 32)
        sealed = good("encrypt/k", {"plaintext": plain})["ciphertext"]
        wrapped = good(f"encrypt/{MODEL}", {"batch_input": [{"plaintext": plain}] * 20})["batch_results"]
        items = [{"ciphertext": one["ciphertext"]} for one in wrapped]
        kinds = (
            ("/v1/transit/decrypt/k", {"ciphertext": sealed}, lambda data: data["plaintext"] == plain),
            (f"/v1/transit/decrypt/{MODEL}", {"batch_input": items},
             lambda data: [one["plaintext"] for one in data["batch_results"]] == [plain] * 20),
            ("/v1/transit/sign/s", {"input": plain}, lambda data: data["signature"].startswith("vault:v1:")),
        )
        self.decrypt = kinds[0]
        self.clients = [Client(self, kinds[number % len(kinds)]) for number in range(CLIENTS)]

    def good(self, path, body):
        status, answer = self.service.call("POST", f"/v1/transit/{path}", body)
        assert status == 200, (path, status, answer)
        return answer["data"]

    def keys(self):
        """Their bytes, as they are used."""
        found = {}
        for kind, name in (("encryption-key", "k"), ("encryption-key", MODEL), ("signing-key", "s")):
            status, answer = self.service.call("GET", f"/v1/transit/export/{kind}/{name}")
            assert status == 200, answer
            text = answer["data"]["keys"]["1"]
            if "BEGIN" in text:
                der = base64.b64decode("".join(text.splitlines()[1:-1]))
                at = der.index(b"\x04\x20") + 2 # the private scalar, which OpenSSL has the other way round
                found[name] = der[at:at + 32][::-1]
            else:
                found[name] = base64.b64decode(text)
            assert len(found[name]) == 32
        return found


@case("a seal while 64 clients unwrap, decrypt and sign: whole answers or 503, and no key is left")
def _(place):
    settings(place, WIDE)
    with dev(place) as service:
        crowd = Crowd(service)
        keys = crowd.keys()
        keeper = children(service.process.pid)["keeper"]
        for client in crowd.clients:
            client.start()
        until(lambda: len(crowd.answered) == CLIENTS or any(c.wrong for c in crowd.clients), "not all are answered")
        if os.geteuid() == 0: # the control
            for name, key in keys.items():
                assert occurrences(keeper, key), f"{name} is not found while it is in use"
        assert service.call("PUT", "/v1/sys/seal")[0] == 204
        for client in crowd.clients:
            client.join(WAIT_S)
            assert not client.is_alive() and client.wrong is None, client.wrong
        assert all(client.whole >= 1 and client.refused == 2 for client in crowd.clients)
        print(f"# {sum(client.whole for client in crowd.clients)} whole answers, then 503")
        assert children(service.process.pid)["keeper"] == keeper
        if os.geteuid() == 0:
            time.sleep(0.5)
            left = [name for name, key in keys.items() if occurrences(keeper, key)]
            assert not left, left
        assert service.call("PUT", "/v1/sys/unseal", {})[0] == 200
        path, body, check = crowd.decrypt
        status, answer = service.call("POST", path, body)
        assert status == 200 and check(answer["data"])
        assert service.end() == 0, service.stderr()
    verified = place.lethe("audit", "verify")
    assert verified.code == 0, verified
    if os.geteuid() != 0:
        raise Skip("reading the keeper's memory takes root; the answers were whole")


finish()
