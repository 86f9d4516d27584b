#!/usr/bin/python3
"""with_hvac.py ADDRESS CA_FILE TOKEN_FILE GROUP: calls the key service with hvac, as it is in Debian. Beside the
token lie client-ca.pem, client.pem and client.key, of an authority that the service believes clients by.

Prints one line for each check ("ok NAME" or "not ok NAME"), and why it failed. The checks of a group share a
service, and each has names of its own in it.
"""
import base64
import hashlib
import pathlib
import sys
import time
import traceback
import warnings

import hvac
import requests
from hvac import exceptions

warnings.simplefilter("ignore", DeprecationWarning)
checks = {}


def check(group, name):
    def register(function):
        checks.setdefault(group, []).append((name, function))
        return function
    return register


def b64(content):
    return base64.b64encode(content if isinstance(content, bytes) else content.encode()).decode()


def unb64(text):
    return base64.b64decode(text, validate=True)


def refused(kind, call, *words, text=None, **options):
    """The call raises exactly this exception, with a message that says something."""
    try:
        outcome = call(*words, **options)
    except exceptions.VaultError as error:
        assert type(error) is kind, f"expected {kind.__name__}, got {type(error).__name__}: {error}"
        if kind is not exceptions.InvalidPath:
            assert error.errors and all(error.errors), f"no text: {error!r}"
        if text is not None:
            assert text in str(error), f"expected {text!r} in: {error}"
        return error
    raise AssertionError(f"expected {kind.__name__}, got {outcome!r}")


class Elsewhere(requests.adapters.HTTPAdapter):
    def __init__(self, number):
        self.address = f"127.1.{number // 250}.{number % 250 + 1}"
        super().__init__()

    def init_poolmanager(self, *words, **options):
        super().init_poolmanager(*words, source_address=(self.address, 0), **options)


class World:
    """One service, and the client that may do everything there."""
    clients = count = 0

    def __init__(self, address, ca_file, token):
        self.address, self.ca_file, self.token = address, ca_file, token
        self.client = self.as_token(token)
        self.transit = self.client.secrets.transit

    def as_token(self, token):
        """Each client comes from an address of its own: who shows a wrong token is not heard for a while, and
        nobody from there."""
        World.clients += 1
        session = requests.Session()
        session.mount("https://", Elsewhere(World.clients))
        return hvac.Client(url=self.address, token=token, verify=self.ca_file, session=session)

    def name(self, start="k"):
        self.count += 1
        return f"{start}{self.count}"

    def key(self, **options):
        name = self.name()
        self.transit.create_key(name, **options)
        return name

    def raw(self, method, path, **options):
        """What hvac does not say: the answer as it came."""
        headers = {"X-Vault-Token": self.token, **options.pop("headers", {})}
        return requests.request(method, f"{self.address}/v1/{path}", headers=headers, verify=self.ca_file,
                                timeout=20, **options)


# ---- transit: keys -----------------------------------------------------------------------------------

KEY_MEMBERS = {
    "name", "type", "derived", "exportable", "allow_plaintext_backup", "deletion_allowed", "latest_version",
    "min_available_version", "min_decryption_version", "min_encryption_version", "supports_encryption",
    "supports_decryption", "supports_signing", "supports_derivation", "auto_rotate_period", "imported_key",
    "soft_deleted", "keys"}
SYMMETRIC = ("aes256-gcm96", "chacha20-poly1305")
SIGNERS = {"ed25519": "ed25519", "ecdsa-p256": "P-256", "ecdsa-p384": "P-384"}


@check("keys", "a list without keys is a path that is not there")
def _(world):
    refused(exceptions.InvalidPath, world.transit.list_keys)


@check("keys", "a key is created, and again is a warning and changes nothing")
def _(world):
    name = world.name()
    made = world.transit.create_key(name)
    assert made["data"]["type"] == "aes256-gcm96" and made["warnings"] is None, made
    again = world.transit.create_key(name, key_type="ed25519")
    assert again["data"]["type"] == "aes256-gcm96" and again["warnings"], again
    assert again["data"]["keys"] == made["data"]["keys"]


@check("keys", "every member of a symmetric key, and no other")
def _(world):
    for kind in SYMMETRIC:
        data = world.transit.read_key(world.key(key_type=kind))["data"]
        assert set(data) == KEY_MEMBERS, set(data) ^ KEY_MEMBERS
        assert data["type"] == kind and data["supports_encryption"] and not data["supports_signing"]
        assert (data["latest_version"], data["min_decryption_version"], data["min_encryption_version"],
                data["min_available_version"]) == (1, 1, 0, 0), data
        assert abs(data["keys"]["1"] - time.time()) < 60, data


@check("keys", "a signer shows its public half")
def _(world):
    for kind, curve in SIGNERS.items():
        data = world.transit.read_key(world.key(key_type=kind))["data"]
        version = data["keys"]["1"]
        assert data["supports_signing"] and not data["supports_encryption"]
        assert version["name"] == curve and version["creation_time"].endswith("Z"), version
        if kind == "ed25519":
            assert len(unb64(version["public_key"])) == 32
        else:
            assert version["public_key"].startswith("-----BEGIN PUBLIC KEY-----"), version


@check("keys", "kinds that are not offered are refused, clearly")
def _(world):
    for kind in ("rsa-2048", "rsa-4096", "ecdsa-p521"):
        refused(exceptions.InvalidRequest, world.transit.create_key, world.name(), key_type=kind)
    refused(exceptions.InvalidRequest, world.transit.create_key, world.name(), derived=True, text="derived")
    refused(exceptions.InvalidRequest, world.transit.create_key, world.name(), derived=True,
            convergent_encryption=True)
    refused(exceptions.InvalidRequest, world.client.write, "transit/keys/x", type="nonsense")
    refused(exceptions.InvalidRequest, world.client.write, "transit/keys/-x", type="aes256-gcm96")


@check("keys", "names come in order")
def _(world):
    for name in ("zz", "aa.b-c", "aa_b"):
        world.transit.create_key(name)
    names = world.transit.list_keys()["data"]["keys"]
    assert names == sorted(names) and {"zz", "aa.b-c", "aa_b"} <= set(names), names
    assert world.raw("GET", "transit/keys?list=true").json()["data"]["keys"] == names


@check("keys", "reading what is not there is 404 with no errors")
def _(world):
    refused(exceptions.InvalidPath, world.transit.read_key, "absent")
    assert world.raw("GET", "transit/keys/absent").json() == {"errors": []}


@check("keys", "deletion has to be allowed")
def _(world):
    name = world.key()
    refused(exceptions.InvalidRequest, world.transit.delete_key, name)
    refused(exceptions.InvalidRequest, world.transit.delete_key, "absent")
    world.transit.update_key_configuration(name, deletion_allowed=True)
    assert world.transit.delete_key(name).status_code == 204
    refused(exceptions.InvalidPath, world.transit.read_key, name)
    world.transit.create_key(name)
    assert world.transit.read_key(name)["data"]["latest_version"] == 1


@check("keys", "rotation, and which versions open and encrypt")
def _(world):
    name = world.key()
    old = world.transit.encrypt_data(name, b64("old"))["data"]["ciphertext"]
    data = world.transit.rotate_key(name)["data"]
    assert data["latest_version"] == 2 and set(data["keys"]) == {"1", "2"}, data
    new = world.transit.encrypt_data(name, b64("new"))["data"]
    assert new["ciphertext"].startswith("vault:v2:") and new["key_version"] == 2, new
    assert unb64(world.transit.decrypt_data(name, old)["data"]["plaintext"]) == b"old"
    world.transit.update_key_configuration(name, min_decryption_version=2)
    refused(exceptions.InvalidRequest, world.transit.decrypt_data, name, old)
    refused(exceptions.InvalidRequest, world.transit.rewrap_data, name, old)
    assert set(world.transit.read_key(name)["data"]["keys"]) == {"2"}
    world.transit.update_key_configuration(name, min_decryption_version=1)
    assert unb64(world.transit.decrypt_data(name, old)["data"]["plaintext"]) == b"old"
    world.client.write(f"transit/keys/{name}/config", min_encryption_version="2")
    refused(exceptions.InvalidRequest, world.transit.encrypt_data, name, b64("x"), key_version=1)
    refused(exceptions.InvalidRequest, world.transit.encrypt_data, name, b64("x"), key_version=3)


@check("keys", "a refused configuration changes nothing")
def _(world):
    name = world.key(exportable=True)
    before = world.transit.read_key(name)["data"]
    for bad in ({"min_decryption_version": 2}, {"min_encryption_version": 2}, {"exportable": False},
                {"min_decryption_version": -1}, {"min_decryption_version": "x"},
                {"deletion_allowed": True, "min_encryption_version": 9}, {"auto_rotate_period": "30m"}):
        refused(exceptions.InvalidRequest, world.client.write, f"transit/keys/{name}/config", **bad)
        assert world.transit.read_key(name)["data"] == before, bad
    refused(exceptions.InvalidRequest, world.transit.update_key_configuration, "absent", deletion_allowed=True)
    after = world.client.write(f"transit/keys/{name}/config", auto_rotate_period="48h", deletion_allowed="true")
    assert after["data"]["auto_rotate_period"] == 48 * 3600 and after["data"]["deletion_allowed"], after


@check("keys", "trimmed versions are gone for good")
def _(world):
    name = world.key()
    old = world.transit.encrypt_data(name, b64("old"))["data"]["ciphertext"]
    world.transit.rotate_key(name)
    refused(exceptions.InvalidRequest, world.transit.trim_key, name, 2)
    world.transit.update_key_configuration(name, min_decryption_version=2)
    refused(exceptions.InvalidRequest, world.transit.trim_key, name, 2)
    world.client.write(f"transit/keys/{name}/config", min_encryption_version=2)
    refused(exceptions.InvalidRequest, world.transit.trim_key, name, 3)
    assert world.transit.trim_key(name, 2)["data"]["min_available_version"] == 2
    refused(exceptions.InvalidRequest, world.transit.trim_key, name, 1)
    refused(exceptions.InvalidRequest, world.transit.update_key_configuration, name, min_decryption_version=1)
    refused(exceptions.InvalidRequest, world.transit.decrypt_data, name, old)


@check("keys", "export needs an exportable key of the kind")
def _(world):
    name = world.key()
    refused(exceptions.InvalidRequest, world.transit.export_key, name, "encryption-key")
    refused(exceptions.InvalidPath, world.transit.export_key, "absent", "encryption-key")
    open_key = world.key(exportable=True)
    data = world.transit.export_key(open_key, "encryption-key")["data"]
    assert data["name"] == open_key and data["type"] == "aes256-gcm96" and len(unb64(data["keys"]["1"])) == 32
    assert len(unb64(world.transit.export_key(open_key, "hmac-key")["data"]["keys"]["1"])) == 32
    refused(exceptions.InvalidRequest, world.transit.export_key, open_key, "signing-key")
    world.transit.rotate_key(open_key)
    assert set(world.transit.export_key(open_key, "encryption-key")["data"]["keys"]) == {"1", "2"}
    assert set(world.transit.export_key(open_key, "encryption-key", "latest")["data"]["keys"]) == {"2"}
    assert set(world.transit.export_key(open_key, "encryption-key", "1")["data"]["keys"]) == {"1"}
    refused(exceptions.InvalidRequest, world.transit.export_key, open_key, "encryption-key", "3")
    refused(exceptions.InvalidRequest, world.client.read, f"transit/export/nonsense/{open_key}")


@check("keys", "an exported key opens what the service encrypted")
def _(world):
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
    for kind, cipher in (("aes256-gcm96", AESGCM), ("chacha20-poly1305", ChaCha20Poly1305)):
        name = world.key(key_type=kind, exportable=True)
        raw = unb64(world.transit.export_key(name, "encryption-key")["data"]["keys"]["1"])
        text = world.client.write(f"transit/encrypt/{name}", plaintext=b64("of ours"),
                                  associated_data=b64("bound"))["data"]["ciphertext"]
        payload = unb64(text.split(":")[2])
        assert cipher(raw).decrypt(payload[:12], payload[12:], b"bound") == b"of ours"
        nonce = bytes(range(12))
        theirs = "vault:v1:" + b64(nonce + cipher(raw).encrypt(nonce, b"of theirs", None))
        assert unb64(world.transit.decrypt_data(name, theirs)["data"]["plaintext"]) == b"of theirs"


@check("keys", "an exported signer signs what the service verifies")
def _(world):
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    name = world.key(key_type="ecdsa-p256", exportable=True)
    pem = world.transit.export_key(name, "signing-key")["data"]["keys"]["1"]
    assert pem.startswith("-----BEGIN EC PRIVATE KEY-----"), pem[:40]
    made = serialization.load_pem_private_key(pem.encode(), None).sign(b"text", ec.ECDSA(hashes.SHA256()))
    assert world.transit.verify_signed_data(name, b64("text"), signature="vault:v1:" + b64(made))["data"]["valid"]
    name = world.key(key_type="ed25519", exportable=True)
    raw = unb64(world.transit.export_key(name, "signing-key")["data"]["keys"]["1"])
    public = unb64(world.transit.read_key(name)["data"]["keys"]["1"]["public_key"])
    assert len(raw) == 64 and raw[32:] == public
    made = ed25519.Ed25519PrivateKey.from_private_bytes(raw[:32]).sign(b"text")
    assert world.transit.verify_signed_data(name, b64("text"), signature="vault:v1:" + b64(made))["data"]["valid"]


@check("keys", "backup and restore")
def _(world):
    plain = world.key(exportable=True)
    refused(exceptions.InvalidRequest, world.transit.backup_key, plain)
    refused(exceptions.InvalidRequest, world.transit.backup_key, "absent")
    name = world.key(exportable=True, allow_plaintext_backup=True)
    text = world.transit.encrypt_data(name, b64("kept"))["data"]["ciphertext"]
    raw = unb64(world.transit.export_key(name, "encryption-key")["data"]["keys"]["1"])
    backup = world.transit.backup_key(name)["data"]["backup"]
    assert raw not in unb64(backup) and b64(raw).encode() not in unb64(backup), "the backup shows the key"
    refused(exceptions.InvalidRequest, world.transit.restore_key, backup)
    assert world.transit.restore_key(backup, force=True).status_code == 204
    other = world.name()
    world.transit.restore_key(backup, name=other)
    assert unb64(world.transit.decrypt_data(other, text)["data"]["plaintext"]) == b"kept"
    half = len(backup) // 2
    broken = backup[:half] + ("A" if backup[half] != "A" else "B") + backup[half + 1:]
    refused(exceptions.InvalidRequest, world.transit.restore_key, broken, name=world.name())
    refused(exceptions.InvalidRequest, world.transit.restore_key, "nonsense", name=world.name())


# ---- transit: data -----------------------------------------------------------------------------------

@check("data", "what is encrypted is opened, also nothing at all and much")
def _(world):
    for kind in SYMMETRIC:
        name = world.key(key_type=kind)
        for content in (b"", b"x", bytes(range(256)) * 4, b"long" * 100_000):
            text = world.transit.encrypt_data(name, b64(content))["data"]["ciphertext"]
            assert text.startswith("vault:v1:") and len(unb64(text[9:])) == len(content) + 28
            assert world.transit.decrypt_data(name, text)["data"] == {"plaintext": b64(content)}


@check("data", "no two encryptions are the same")
def _(world):
    name = world.key()
    texts = {world.transit.encrypt_data(name, b64("same"))["data"]["ciphertext"] for _ in range(20)}
    assert len(texts) == 20


@check("data", "what was changed does not open, and why is not said")
def _(world):
    name, other = world.key(), world.key()
    text = world.transit.encrypt_data(name, b64("secret text"))["data"]["ciphertext"]
    payload = bytearray(unb64(text[9:]))
    said = set()
    for at in (0, 11, 12, len(payload) - 17, len(payload) - 16, len(payload) - 1):
        payload[at] ^= 1
        said.add(str(refused(exceptions.InvalidRequest, world.transit.decrypt_data, name,
                             "vault:v1:" + b64(bytes(payload))).errors))
        payload[at] ^= 1
    error = refused(exceptions.InvalidRequest, world.transit.decrypt_data, other, text)
    said.add(str(error.errors))
    error = refused(exceptions.InvalidRequest, world.client.write, f"transit/decrypt/{name}", ciphertext=text,
                    associated_data=b64("not bound"))
    said.add(str(error.errors))
    assert len(said) == 1, said


@check("data", "texts that are none")
def _(world):
    name = world.key()
    good = world.transit.encrypt_data(name, b64("x"))["data"]["ciphertext"]
    for bad in ("", "vault", "vault:v1", "vault:v1:", "vault:v0:" + good[9:], "vault:v2:" + good[9:],
                "vault:v99999999999999999999:" + good[9:], "vault:v-1:" + good[9:], "other:v1:" + good[9:],
                good + "=", good[:-1], "vault:v1:!!!!", "vault:v1:" + b64("short"), good + "\n"):
        refused(exceptions.InvalidRequest, world.transit.decrypt_data, name, bad)
    for bad in ("!", "YQ", "YQ=", "YR==", "Y Q==", "YQ==\n"):
        refused(exceptions.InvalidRequest, world.transit.encrypt_data, name, bad)
    refused(exceptions.InvalidRequest, world.client.write, f"transit/encrypt/{name}")
    refused(exceptions.InvalidRequest, world.client.write, f"transit/decrypt/{name}")


@check("data", "keys that are not there, or are of another kind")
def _(world):
    signer = world.key(key_type="ed25519")
    for name in ("absent", signer):
        refused(exceptions.InvalidRequest, world.transit.encrypt_data, name, b64("x"))
        refused(exceptions.InvalidRequest, world.transit.decrypt_data, name, "vault:v1:" + b64(bytes(40)))
        refused(exceptions.InvalidRequest, world.transit.rewrap_data, name, "vault:v1:" + b64(bytes(40)))
        refused(exceptions.InvalidRequest, world.transit.generate_data_key, name, "plaintext")
    error = refused(exceptions.InvalidRequest, world.transit.encrypt_data, "absent", b64("x"))
    assert error.errors == ["encryption key not found"], error.errors
    refused(exceptions.InvalidRequest, world.transit.sign_data, world.key(), b64("x"))
    refused(exceptions.InvalidRequest, world.transit.sign_data, "absent", b64("x"))


@check("data", "context and nonce are refused, not ignored")
def _(world):
    name = world.key()
    text = world.transit.encrypt_data(name, b64("x"))["data"]["ciphertext"]
    refused(exceptions.InvalidRequest, world.transit.encrypt_data, name, b64("x"), context=b64("c"), text="context")
    refused(exceptions.InvalidRequest, world.transit.decrypt_data, name, text, context=b64("c"), text="context")
    refused(exceptions.InvalidRequest, world.transit.encrypt_data, name, b64("x"), nonce=b64(bytes(12)),
            text="nonce")
    refused(exceptions.InvalidRequest, world.transit.encrypt_data, name, b64("x"), convergent_encryption=True)


@check("data", "associated data binds, in rewrap too")
def _(world):
    name = world.key()
    text = world.client.write(f"transit/encrypt/{name}", plaintext=b64("x"), associated_data=b64("a"))
    text = text["data"]["ciphertext"]
    refused(exceptions.InvalidRequest, world.transit.decrypt_data, name, text)
    world.transit.rotate_key(name)
    refused(exceptions.InvalidRequest, world.transit.rewrap_data, name, text)
    new = world.client.write(f"transit/rewrap/{name}", ciphertext=text, associated_data=b64("a"))["data"]
    assert new["key_version"] == 2 and new["ciphertext"].startswith("vault:v2:"), new
    opened = world.client.write(f"transit/decrypt/{name}", ciphertext=new["ciphertext"], associated_data=b64("a"))
    assert unb64(opened["data"]["plaintext"]) == b"x"
    refused(exceptions.InvalidRequest, world.client.write, f"transit/encrypt/{name}", plaintext=b64("x"),
            associated_data="!")


@check("data", "rewrap gives the latest version, or the one that is asked for")
def _(world):
    name = world.key()
    text = world.transit.encrypt_data(name, b64("moved"))["data"]["ciphertext"]
    world.transit.rotate_key(name)
    world.transit.rotate_key(name)
    for version, wanted in ((None, 3), (2, 2)):
        new = world.transit.rewrap_data(name, text, key_version=version)["data"]
        assert new["key_version"] == wanted and set(new) == {"ciphertext", "key_version"}, new
        assert unb64(world.transit.decrypt_data(name, new["ciphertext"])["data"]["plaintext"]) == b"moved"
    refused(exceptions.InvalidRequest, world.transit.rewrap_data, name, "vault:v1:" + b64(bytes(40)))


@check("data", "batches: each item with its result and its reference, in order")
def _(world):
    name = world.key()
    items = [{"plaintext": b64(f"item {n}"), "reference": f"r{n}"} for n in range(20)]
    done = world.transit.encrypt_data(name, None, batch_input=items)["data"]["batch_results"]
    assert [row["reference"] for row in done] == [f"r{n}" for n in range(20)]
    assert all(set(row) == {"ciphertext", "key_version", "reference"} for row in done), done[0]
    texts = [{"ciphertext": row["ciphertext"]} for row in done]
    opened = world.transit.decrypt_data(name, None, batch_input=texts)["data"]["batch_results"]
    assert [unb64(row["plaintext"]) for row in opened] == [f"item {n}".encode() for n in range(20)]
    assert all(set(row) == {"plaintext"} for row in opened), opened[0]
    empty = world.transit.encrypt_data(name, None, batch_input=[{"plaintext": ""}])["data"]["batch_results"]
    opened = world.transit.decrypt_data(name, None, batch_input=[{"ciphertext": empty[0]["ciphertext"]}])
    assert opened["data"]["batch_results"] == [{"plaintext": ""}], opened
    world.transit.rotate_key(name)
    moved = world.transit.rewrap_data(name, None, batch_input=texts)["data"]["batch_results"]
    assert all(row["key_version"] == 2 for row in moved), moved[0]
    refused(exceptions.InvalidRequest, world.transit.encrypt_data, name, None, batch_input=[],
            text="missing batch input to process")


@check("data", "batches: an item that fails, and the status of it")
def _(world):
    name = world.key()
    good = world.transit.encrypt_data(name, b64("x"))["data"]["ciphertext"]
    items = [{"ciphertext": good}, {"ciphertext": "vault:v1:AAAA", "reference": "bad"}, {"ciphertext": 5.5},
             {"context": b64("c"), "ciphertext": good}]
    answer = world.raw("POST", f"transit/decrypt/{name}", json={"batch_input": items})
    rows = answer.json()["data"]["batch_results"]
    assert answer.status_code == 400 and rows[0] == {"plaintext": b64("x")}, answer.text
    assert rows[1]["reference"] == "bad" and rows[1]["error"] and "plaintext" not in rows[1], rows
    assert rows[2]["error"] and "context" in rows[3]["error"], rows
    body = {"batch_input": items, "partial_failure_response_code": "202"}
    assert world.raw("POST", f"transit/decrypt/{name}", json=body).status_code == 202
    body["batch_input"] = items[1:2]
    assert world.raw("POST", f"transit/decrypt/{name}", json=body).status_code == 400
    rewrapped = world.raw("POST", f"transit/rewrap/{name}", json={"batch_input": items[:2]})
    assert rewrapped.status_code == 200 and "error" in rewrapped.json()["data"]["batch_results"][1]


@check("data", "data keys of three sizes, shown or not")
def _(world):
    name = world.key()
    for bits in (None, 128, 256, 512):
        data = world.transit.generate_data_key(name, "plaintext", bits=bits)["data"]
        assert set(data) == {"ciphertext", "plaintext", "key_version"} and data["key_version"] == 1
        assert len(unb64(data["plaintext"])) == (bits or 256) // 8
        assert world.transit.decrypt_data(name, data["ciphertext"])["data"]["plaintext"] == data["plaintext"]
    assert set(world.transit.generate_data_key(name, "wrapped")["data"]) == {"ciphertext", "key_version"}
    refused(exceptions.InvalidRequest, world.client.write, f"transit/datakey/plaintext/{name}", bits=64)
    refused(exceptions.InvalidRequest, world.client.write, f"transit/datakey/nonsense/{name}")


@check("data", "random bytes and hashes")
def _(world):
    for count in (None, 1, 32, 131072):
        data = world.transit.generate_random_bytes(count)["data"]
        assert len(unb64(data["random_bytes"])) == (count or 32)
    assert len(bytes.fromhex(world.transit.generate_random_bytes(7, "hex")["data"]["random_bytes"])) == 7
    assert len(unb64(world.client.write("transit/random/9")["data"]["random_bytes"])) == 9
    for bad in (0, -1, 131073, "x"):
        refused(exceptions.InvalidRequest, world.client.write, "transit/random", bytes=bad)
    refused(exceptions.InvalidRequest, world.client.write, "transit/random/0")
    refused(exceptions.InvalidRequest, world.client.write, "transit/random", format="octal")
    for bits in (224, 256, 384, 512):
        for family, start in (("sha2", "sha"), ("sha3", "sha3_")):
            sum_ = world.client.write(f"transit/hash/{family}-{bits}", input=b64("text"))["data"]["sum"]
            assert sum_ == hashlib.new(f"{start}{bits}", b"text").hexdigest()
    assert world.transit.hash_data(b64("text"))["data"]["sum"] == hashlib.sha256(b"text").hexdigest()
    data = world.transit.hash_data(b64("text"), "sha2-512", "base64")["data"]
    assert unb64(data["sum"]) == hashlib.sha512(b"text").digest()
    refused(exceptions.InvalidRequest, world.client.write, "transit/hash", input=b64("x"), algorithm="md5")
    refused(exceptions.InvalidRequest, world.client.write, "transit/hash", input="!")


@check("data", "HMACs of every kind of key, and their versions")
def _(world):
    for kind in (*SYMMETRIC, *SIGNERS):
        name = world.key(key_type=kind)
        made = world.transit.generate_hmac(name, b64("text"))["data"]["hmac"]
        assert made.startswith("vault:v1:") and len(unb64(made[9:])) == 32
        assert world.transit.verify_signed_data(name, b64("text"), hmac=made)["data"] == {"valid": True}
        assert world.transit.verify_signed_data(name, b64("other"), hmac=made)["data"] == {"valid": False}
    world.transit.rotate_key(name)
    assert world.transit.generate_hmac(name, b64("text"))["data"]["hmac"].startswith("vault:v2:")
    assert world.transit.generate_hmac(name, b64("text"), key_version=1)["data"]["hmac"] == made
    long = world.client.write(f"transit/hmac/{name}/sha2-512", input=b64("text"))["data"]["hmac"]
    assert len(unb64(long[9:])) == 64
    refused(exceptions.InvalidRequest, world.client.write, f"transit/hmac/{name}/md5", input=b64("x"))
    refused(exceptions.InvalidRequest, world.transit.generate_hmac, name, b64("x"), key_version=3)
    refused(exceptions.InvalidRequest, world.transit.verify_signed_data, name, b64("x"), hmac="vault:v1:!")
    rows = world.client.write(f"transit/hmac/{name}", batch_input=[{"input": b64("a")}, {"input": "!"}])
    rows = rows["data"]["batch_results"]
    assert "hmac" in rows[0] and "error" in rows[1], rows


@check("data", "an HMAC is the one of the exported key")
def _(world):
    import hmac as python_hmac
    name = world.key(exportable=True)
    raw = unb64(world.transit.export_key(name, "hmac-key")["data"]["keys"]["1"])
    made = world.transit.generate_hmac(name, b64("text"), algorithm="sha2-384")["data"]["hmac"]
    assert unb64(made[9:]) == python_hmac.new(raw, b"text", "sha384").digest()


@check("data", "signatures of every kind, verified by another implementation")
def _(world):
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    for kind in SIGNERS:
        name = world.key(key_type=kind)
        public = world.transit.read_key(name)["data"]["keys"]["1"]["public_key"]
        for digest, algorithm in (("sha2-256", hashes.SHA256()), ("sha2-512", hashes.SHA512())):
            data = world.transit.sign_data(name, b64("text"), hash_algorithm=digest)["data"]
            raw = unb64(data["signature"].split(":")[2])
            assert data["key_version"] == 1 and set(data) == {"signature", "key_version"}, data
            if kind == "ed25519":
                ed25519.Ed25519PublicKey.from_public_bytes(unb64(public)).verify(raw, b"text")
            else:
                serialization.load_pem_public_key(public.encode()).verify(raw, b"text", ec.ECDSA(algorithm))
            assert world.transit.verify_signed_data(name, b64("text"), signature=data["signature"],
                                                    hash_algorithm=digest)["data"]["valid"]
            wrong = world.transit.verify_signed_data(name, b64("texT"), signature=data["signature"],
                                                     hash_algorithm=digest)
            assert wrong["data"] == {"valid": False}, wrong


@check("data", "digests that come ready-made, and signatures as JWS has them")
def _(world):
    for kind, width in (("ecdsa-p256", 64), ("ecdsa-p384", 96)):
        name = world.key(key_type=kind)
        digest = hashlib.sha384(b"text").digest()
        made = world.transit.sign_data(name, b64(digest), hash_algorithm="sha2-384", prehashed=True,
                                       marshaling_algorithm="jws")["data"]["signature"]
        tail = made.split(":")[2]
        assert "=" not in tail and len(base64.urlsafe_b64decode(tail + "=" * (-len(tail) % 4))) == width, made
        options = {"signature": made, "hash_algorithm": "sha2-384", "marshaling_algorithm": "jws"}
        assert world.transit.verify_signed_data(name, b64("text"), **options)["data"]["valid"]
        assert world.transit.verify_signed_data(name, b64(digest), prehashed=True, **options)["data"]["valid"]
        refused(exceptions.InvalidRequest, world.transit.sign_data, name, b64("short"), prehashed=True)
    refused(exceptions.InvalidRequest, world.client.write, f"transit/sign/{name}", input=b64("x"),
            marshaling_algorithm="other")
    refused(exceptions.InvalidRequest, world.client.write, f"transit/sign/{name}/md5", input=b64("x"))


@check("data", "signatures: what is no signature, and which version")
def _(world):
    name = world.key(key_type="ed25519")
    made = world.transit.sign_data(name, b64("text"))["data"]["signature"]
    for bad in ("", "vault:v1", "vault:v9:" + made[9:], "vault:v1:!!", "x"):
        refused(exceptions.InvalidRequest, world.client.write, f"transit/verify/{name}", input=b64("text"),
                signature=bad)
    refused(exceptions.InvalidRequest, world.client.write, f"transit/verify/{name}", input=b64("text"))
    refused(exceptions.InvalidRequest, world.client.write, f"transit/verify/{name}", input=b64("text"),
            signature=made, hmac=made)
    refused(exceptions.InvalidRequest, world.transit.sign_data, name, b64("x"), key_version=2)
    world.transit.rotate_key(name)
    assert world.transit.sign_data(name, b64("text"))["data"]["key_version"] == 2
    assert world.transit.sign_data(name, b64("text"), key_version=1)["data"]["signature"] == made
    assert world.transit.verify_signed_data(name, b64("text"), signature=made)["data"]["valid"]
    world.transit.update_key_configuration(name, min_decryption_version=2)
    refused(exceptions.InvalidRequest, world.transit.verify_signed_data, name, b64("text"), signature=made)


@check("data", "batches of signatures")
def _(world):
    name = world.key(key_type="ecdsa-p256")
    items = [{"input": b64("a"), "reference": "1"}, {"input": "!", "reference": "2"}, {"input": b64("c")}]
    rows = world.client.write(f"transit/sign/{name}", batch_input=items)["data"]["batch_results"]
    assert rows[0]["reference"] == "1" and "signature" in rows[0] and "error" in rows[1], rows
    proofs = [{"input": b64("a"), "signature": rows[0]["signature"]},
              {"input": b64("b"), "signature": rows[2]["signature"]}]
    rows = world.client.write(f"transit/verify/{name}", batch_input=proofs)["data"]["batch_results"]
    assert [row["valid"] for row in rows] == [True, False], rows


@check("data", "a data key of a model is released for a purpose, from the smallest release on")
def _(world):
    name = f"acme.{world.name('m')}.hot"
    world.transit.create_key(name)
    text = world.transit.encrypt_data(name, b64(bytes(32)))["data"]["ciphertext"]
    path, minimum = f"transit/decrypt/{name}", f"lethe/keys/{name}/minimum"
    wanted = {"ciphertext": text, "purpose": "load", "shard": "0000"}
    assert unb64(world.client.write(path, release=1, **wanted)["data"]["plaintext"]) == bytes(32)
    refused(exceptions.InvalidRequest, world.client.write, path, ciphertext=text, purpose="fun", text="purpose")
    assert world.client.write(minimum, minimum=3)["data"]["minimum"] == 3
    refused(exceptions.InvalidRequest, world.client.write, minimum, minimum=2)
    refused(exceptions.Forbidden, world.client.write, path, release=2, text="below the minimum", **wanted)
    refused(exceptions.Forbidden, world.client.write, path, ciphertext=text)
    assert world.client.write(path, release="3", **wanted)["data"]["plaintext"]
    assert world.client.read(minimum)["data"]["minimum"] == 3


@check("data", "what was revoked opens no more, and is rewrapped all the same")
def _(world):
    name = world.key()
    text = world.transit.encrypt_data(name, b64("x"))["data"]["ciphertext"]
    assert world.client.read(f"lethe/keys/{name}/status")["data"]["usable"]
    world.client.write(f"lethe/keys/{name}/revoke", reason="lost")
    status = world.client.read(f"lethe/keys/{name}/status?version=1")["data"]
    assert not status["usable"] and status["reason"] == "revoked", status
    refused(exceptions.Forbidden, world.transit.decrypt_data, name, text)
    refused(exceptions.Forbidden, world.transit.encrypt_data, name, b64("x"))
    world.transit.rotate_key(name)
    new = world.transit.rewrap_data(name, text)["data"]
    assert new["key_version"] == 2 and unb64(world.transit.decrypt_data(name, new["ciphertext"])["data"]["plaintext"])


# ---- how it is spoken -----------------------------------------------------------------------------------

@check("transport", "the envelope, and the headers that hvac looks at")
def _(world):
    answer = world.raw("POST", "transit/random")
    assert answer.headers["Content-Type"] == "application/json", answer.headers
    assert answer.headers["Cache-Control"] == "no-store", answer.headers
    body = answer.json()
    assert set(body) == {"request_id", "lease_id", "renewable", "lease_duration", "data", "wrap_info", "warnings",
                         "auth"}, body
    assert (body["lease_id"], body["renewable"], body["lease_duration"]) == ("", False, 0)
    assert body["wrap_info"] is None and body["warnings"] is None and body["auth"] is None
    assert body["request_id"] != world.raw("POST", "transit/random").json()["request_id"]


@check("transport", "who does not prove himself learns nothing")
def _(world):
    world.transit.create_key("there")
    for token in (None, "", "lethe.nonsense", "x" * 300):
        said = set()
        for path in ("transit/keys/there", "transit/keys/absent", "sys/mounts", "transit/nonsense", "nonsense"):
            said.add(str(refused(exceptions.Forbidden, world.as_token(token).read, path).errors))
        assert len(said) == 1, said
        assert not world.as_token(token).is_authenticated()


@check("transport", "who shows wrong tokens waits, and nobody else")
def _(world):
    stranger, waits = world.as_token("lethe.nonsense"), 0
    for _ in range(20):
        try:
            stranger.lookup_token()
        except exceptions.Forbidden:
            continue
        except (exceptions.RateLimitExceeded, requests.exceptions.ConnectionError):
            waits += 1
    assert waits > 0
    assert world.as_token(world.token).is_authenticated()


@check("transport", "unknown paths, wrong methods and strange headers")
def _(world):
    refused(exceptions.InvalidPath, world.client.write, "transit/nonsense/x", a=1)
    assert world.raw("GET", "nonsense").status_code == 404
    assert world.raw("DELETE", "transit/random").status_code == 405
    assert world.raw("POST", "transit/random", headers={"X-Vault-Wrap-TTL": "60"}).status_code == 400
    assert world.raw("POST", "transit/random", headers={"X-Vault-Namespace": "other"}).status_code == 404
    assert world.raw("POST", "transit/random", headers={"X-Vault-Namespace": ""}).status_code == 200
    assert world.raw("PUT", "transit/random", data="").status_code == 200
    headers = {"X-Vault-Token": None, "Authorization": f"Bearer {world.token}"}
    assert world.raw("POST", "transit/random", headers=headers).status_code == 200


@check("transport", "bodies that are no JSON object")
def _(world):
    for bad in ("[]", "1", "{", '{"bytes":1,"bytes":2}', '{"bytes":1}x', "\xff", '{"bytes":' + "[" * 100 + "]" * 100 + "}"):
        answer = world.raw("POST", "transit/random", data=bad.encode("latin-1"))
        assert answer.status_code == 400 and answer.json()["errors"], (bad, answer.text)
    answer = world.raw("POST", "transit/random", data=b'{"bytes": null, "unknown": {"a": [1]}}')
    assert answer.status_code == 200, answer.text


@check("transport", "a body that is too large is 413")
def _(world):
    try:
        answer = world.raw("POST", "transit/hash", data=b'{"input":"' + b"A" * (33 << 20) + b'"}')
    except requests.exceptions.ConnectionError:
        return  # closed before all of it was sent: as good
    assert answer.status_code == 413, answer.status_code


# ---- tokens ----------------------------------------------------------------------------------------

LOOKUP_MEMBERS = {"id", "accessor", "policies", "ttl", "creation_ttl", "creation_time", "expire_time", "issue_time",
                  "explicit_max_ttl", "display_name", "meta", "num_uses", "orphan", "path", "entity_id", "type",
                  "renewable"}
AUTH_MEMBERS = {"client_token", "accessor", "policies", "token_policies", "metadata", "lease_duration", "renewable",
                "entity_id", "token_type", "orphan", "mfa_requirement", "num_uses"}


@check("tokens", "the first token, looked up")
def _(world):
    data = world.client.auth.token.lookup_self()["data"]
    assert LOOKUP_MEMBERS <= set(data), LOOKUP_MEMBERS - set(data)
    assert data["id"] == world.token and data["policies"] == ["root"] and data["type"] == "service", data
    assert world.client.is_authenticated()


@check("tokens", "a token is created, used, renewed, and revoked")
def _(world):
    made = world.client.auth.token.create(policies=["default"], ttl="1h", meta={"who": "tester"}, display_name="one")
    auth = made["auth"]
    assert made["data"] is None and set(auth) >= AUTH_MEMBERS, auth
    assert 3590 <= auth["lease_duration"] <= 3600 and auth["metadata"] == {"who": "tester"}, auth
    mine = world.as_token(auth["client_token"])
    data = mine.auth.token.lookup_self()["data"]
    assert data["accessor"] == auth["accessor"] and data["expire_time"] and 0 < data["ttl"] <= 3600, data
    renewed = mine.auth.token.renew_self(increment="2h")["auth"]
    assert renewed["client_token"] == auth["client_token"] and renewed["lease_duration"] > 3600, renewed
    by_other = world.client.auth.token.renew(auth["client_token"], increment=600)["auth"]
    assert by_other["client_token"] == auth["client_token"], by_other
    assert mine.auth.token.revoke_self().status_code == 204
    refused(exceptions.Forbidden, mine.auth.token.lookup_self)
    assert not world.as_token(auth["client_token"]).is_authenticated()


@check("tokens", "by token and by accessor, known and unknown")
def _(world):
    auth = world.client.auth.token.create(policies=["default"], ttl=600)["auth"]
    data = world.client.auth.token.lookup(auth["client_token"])["data"]
    assert data["accessor"] == auth["accessor"] and data["creation_ttl"] == 600, data
    data = world.client.auth.token.lookup_accessor(auth["accessor"])["data"]
    assert data["id"] == "" and data["accessor"] == auth["accessor"], data
    refused(exceptions.Forbidden, world.client.auth.token.lookup, "lethe.nonsense")
    refused(exceptions.Forbidden, world.client.auth.token.lookup_accessor, "nonsense")
    world.client.auth.token.revoke_accessor(auth["accessor"])
    refused(exceptions.Forbidden, world.client.auth.token.lookup, auth["client_token"])


@check("tokens", "children go with their parent")
def _(world):
    world.client.sys.create_or_update_policy("parents", {"path": {"auth/token/*": {
        "capabilities": ["create", "update", "read", "sudo"]}}})
    parent = world.client.auth.token.create(policies=["parents"])["auth"]["client_token"]
    child = world.as_token(parent).auth.token.create(policies=["parents"])["auth"]["client_token"]
    assert world.as_token(child).is_authenticated()
    world.client.auth.token.revoke(parent)
    assert not world.as_token(parent).is_authenticated() and not world.as_token(child).is_authenticated()


@check("tokens", "a number of uses, and a time to live, come to their end")
def _(world):
    few = world.as_token(world.client.auth.token.create(policies=["root"], num_uses=2)["auth"]["client_token"])
    few.read("sys/mounts")
    few.read("sys/mounts")
    refused(exceptions.Forbidden, few.read, "sys/mounts")
    short = world.as_token(world.client.auth.token.create(policies=["root"], ttl="4s")["auth"]["client_token"])
    assert short.is_authenticated()
    time.sleep(5.1)
    assert not short.is_authenticated()


@check("tokens", "nobody gives more than he has")
def _(world):
    world.client.sys.create_or_update_policy("makers", {"path": {"auth/token/create": {
        "capabilities": ["create", "update"]}}})
    maker = world.as_token(world.client.auth.token.create(policies=["makers"])["auth"]["client_token"])
    try:
        made = maker.auth.token.create(policies=["root"])
    except (exceptions.Forbidden, exceptions.InvalidRequest):
        return
    raise AssertionError(f"a token with more rights: {made['auth']['policies']}")


# ---- policies -------------------------------------------------------------------------------------------

HCL = """
# only these
path "transit/encrypt/app-*" { capabilities = ["update"] }
path "transit/keys/+/rotate" { capabilities = ["update"] }
path "transit/keys/app-secret" { capabilities = ["deny"] }
path "transit/keys/*" { capabilities = ["read", "list"] }
"""


@check("policies", "written, read, listed, deleted")
def _(world):
    world.client.sys.create_or_update_policy("one", HCL)
    read = world.client.sys.read_policy("one")
    assert read["data"]["rules"] == HCL and read["data"]["name"] == "one" and read["rules"] == HCL, read
    assert "one" in world.client.sys.list_policies()["data"]["policies"]
    world.client.sys.delete_policy("one")
    refused(exceptions.InvalidPath, world.client.sys.read_policy, "one")


@check("policies", "what is no policy is refused, with line and column")
def _(world):
    for bad in ('path "x" {', 'path "x" { capabilities = ["fly"] }', "nonsense", '{"path": 1}'):
        refused(exceptions.InvalidRequest, world.client.sys.create_or_update_policy, "bad", bad)
    refused(exceptions.InvalidPath, world.client.sys.read_policy, "bad")


@check("policies", "they decide, at once, and deny wins")
def _(world):
    world.client.sys.create_or_update_policy("app", HCL)
    for name in ("app-one", "app-secret", "other"):
        world.transit.create_key(name)
    mine = world.as_token(world.client.auth.token.create(policies=["app"])["auth"]["client_token"])
    assert mine.secrets.transit.encrypt_data("app-one", b64("x"))["data"]["ciphertext"]
    said = {str(refused(exceptions.Forbidden, mine.secrets.transit.encrypt_data, name, b64("x")).errors)
            for name in ("other", "absent")}
    assert len(said) == 1, said
    refused(exceptions.Forbidden, mine.secrets.transit.decrypt_data, "app-one", "vault:v1:AAAA", text="permission denied")
    refused(exceptions.Forbidden, mine.secrets.transit.read_key, "app-secret")
    assert mine.secrets.transit.read_key("other")["data"]["name"] == "other"
    mine.secrets.transit.rotate_key("other")
    refused(exceptions.Forbidden, mine.secrets.transit.create_key, "app-new")
    refused(exceptions.Forbidden, mine.sys.read_policy, "app")
    refused(exceptions.Forbidden, mine.auth.token.create, policies=["app"])
    world.client.sys.create_or_update_policy("app", 'path "transit/keys/other" { capabilities = ["read"] }')
    refused(exceptions.Forbidden, mine.secrets.transit.encrypt_data, "app-one", b64("x"))
    assert mine.secrets.transit.read_key("other")


# ---- sys --------------------------------------------------------------------------------------------

@check("sys", "health and seal status, without a token")
def _(world):
    stranger = world.as_token(None)
    health = stranger.sys.read_health_status(method="GET")
    assert {"initialized", "sealed", "standby", "server_time_utc", "version"} <= set(health), health
    assert health["initialized"] and not health["sealed"] and not health["standby"], health
    assert stranger.sys.read_health_status(method="HEAD").status_code == 200
    assert stranger.sys.read_seal_status()["sealed"] is False and not stranger.sys.is_sealed()
    assert stranger.sys.is_initialized() and stranger.sys.read_leader_status() is not None
    assert requests.get(f"{world.address}/v1/sys/health?activecode=299", verify=world.ca_file,
                        timeout=20).status_code == 299


@check("sys", "mounts, on top and under data")
def _(world):
    mounts = world.client.sys.list_mounted_secrets_engines()
    assert mounts["transit/"]["type"] == "transit" and mounts["data"]["pki/"]["type"] == "pki", mounts
    refused(exceptions.Forbidden, world.as_token(None).sys.list_mounted_secrets_engines)


@check("sys", "sealing ends it all")
def _(world):
    assert world.client.sys.seal().status_code == 204
    refused(exceptions.VaultDown, world.transit.create_key, "late")
    assert world.client.sys.is_sealed()
    assert world.as_token(None).sys.read_health_status(method="GET").status_code == 503


# ---- PKI ----------------------------------------------------------------------------------------------

def with_root(world):
    pki = world.client.secrets.pki
    if not world.raw("GET", "pki/ca/pem").text.startswith("-----BEGIN"):
        pki.generate_root("internal", "root.example", {"ttl": "8760h", "key_type": "ec"})
        pki.create_or_update_role("web", {"allowed_domains": "example.org", "allow_subdomains": "true", "ttl": "1h",
                                          "max_ttl": "2h", "key_type": "ec"})
    return pki


def load(pem):
    from cryptography import x509
    return x509.load_pem_x509_certificate(pem.encode())


@check("pki", "a root, readable by anybody")
def _(world):
    assert world.raw("GET", "pki/ca/pem").status_code == 204
    pki = world.client.secrets.pki
    made = pki.generate_root("internal", "root.example", {"ttl": "8760h", "key_type": "ec"})["data"]
    assert {"certificate", "issuing_ca", "serial_number", "expiration"} <= set(made) and "private_key" not in made
    pki.create_or_update_role("web", {"allowed_domains": ["example.org"], "allow_subdomains": True, "ttl": "1h",
                                      "max_ttl": "2h", "key_type": "ec"})
    stranger = world.as_token(None)
    assert stranger.secrets.pki.read_ca_certificate().strip() == made["certificate"].strip()
    assert made["certificate"].strip() in stranger.secrets.pki.read_ca_certificate_chain()
    assert "BEGIN X509 CRL" in stranger.secrets.pki.read_crl()


@check("pki", "a certificate is issued, within its role")
def _(world):
    pki = with_root(world)
    made = pki.generate_certificate("web", "a.example.org", {"alt_names": "b.example.org"})["data"]
    root = load(pki.read_ca_certificate())
    leaf = load(made["certificate"])
    from cryptography.hazmat.primitives.asymmetric import ec
    root.public_key().verify(leaf.signature, leaf.tbs_certificate_bytes, ec.ECDSA(leaf.signature_hash_algorithm))
    assert made["private_key_type"] == "ec" and "PRIVATE KEY" in made["private_key"] and made["ca_chain"]
    assert (leaf.not_valid_after - leaf.not_valid_before).total_seconds() <= 3600 + 60
    again = pki.read_certificate(made["serial_number"])["data"]
    assert again["certificate"].strip() == made["certificate"].strip() and again["revocation_time"] == 0
    assert made["serial_number"] in pki.list_certificates()["data"]["keys"]
    capped = pki.generate_certificate("web", "a.example.org", {"ttl": "48h"})
    assert capped["warnings"] and capped["data"]["expiration"] < time.time() + 2 * 3600 + 60, capped["warnings"]
    for name in ("example.com", "a.example.com", "evil.org", ""):
        refused(exceptions.InvalidRequest, pki.generate_certificate, "web", name)
    refused(exceptions.InvalidRequest, pki.generate_certificate, "absent", "a.example.org")


@check("pki", "a request is signed")
def _(world):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    pki = with_root(world)
    key = ec.generate_private_key(ec.SECP256R1())


    def request(name):
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
        return csr.public_bytes(serialization.Encoding.PEM).decode()

    pem = request("c.example.org")
    made = pki.sign_certificate("web", pem, "c.example.org")["data"]
    assert "private_key" not in made and load(made["certificate"]).public_key() is not None
    assert load(made["certificate"]).public_key().public_numbers() == key.public_key().public_numbers()
    refused(exceptions.InvalidRequest, pki.sign_certificate, "web", "nonsense", "c.example.org")
    refused(exceptions.InvalidRequest, pki.sign_certificate, "web", request("c.example.com"), "c.example.org")


@check("pki", "revoked, and in the list of the revoked")
def _(world):
    from cryptography import x509
    pki = with_root(world)
    made = pki.generate_certificate("web", "d.example.org")["data"]
    done = pki.revoke_certificate(made["serial_number"].replace(":", "-"))["data"]
    assert done["revocation_time"] > 0, done
    assert pki.rotate_crl()["data"]["success"]
    crl = x509.load_pem_x509_crl(pki.read_crl().encode())
    assert crl.get_revoked_certificate_by_serial_number(int(made["serial_number"].replace(":", ""), 16))
    assert pki.read_certificate(made["serial_number"])["data"]["revocation_time"] > 0
    refused(exceptions.InvalidRequest, pki.revoke_certificate, "00:11:22")


@check("pki", "roles are kept as they were given")
def _(world):
    pki = with_root(world)
    data = pki.read_role("web")["data"]
    assert data["allowed_domains"] == ["example.org"] and data["max_ttl"] == 7200 and data["allow_subdomains"], data
    assert "web" in pki.list_roles()["data"]["keys"]
    pki.create_or_update_role("gone", {"allow_any_name": True})
    pki.delete_role("gone")
    refused(exceptions.InvalidPath, pki.read_role, "gone")


# ---- certificates ----------------------------------------------------------------------------------

def write_pair(world, certificate, key):
    """Files, as requests wants them."""
    world.count += 1
    folder = pathlib.Path(world.folder)
    paths = [folder / f"client{world.count}.pem", folder / f"client{world.count}.key"]
    for path, text in zip(paths, (certificate, key)):
        path.write_text(text)
        path.chmod(0o600)
    return tuple(map(str, paths))


def with_certificate(world, pair, token=None):
    client = world.as_token(token)
    return hvac.Client(url=world.address, token=token, verify=world.ca_file, cert=pair,
                       session=client.session)


def new_identity(world, spiffe_id, policies):
    """As a node gets one: its key stays with it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    world.client.write("lethe/identities", id=spiffe_id, policies=policies)
    issued = world.client.write("lethe/identities/issue", id=spiffe_id,
                                csr=csr.public_bytes(serialization.Encoding.PEM).decode())["data"]
    key_pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                serialization.NoEncryption()).decode()
    return write_pair(world, issued["certificate"], key_pem)


@check("cert", "who comes with a certificate is who it says, by its policies")
def _(world):
    world.client.sys.create_or_update_policy("node", 'path "transit/encrypt/c-*" { capabilities = ["update"] }')
    world.transit.create_key("c-one")
    world.transit.create_key("d-one")
    node = with_certificate(world, new_identity(world, "spiffe://lethe.local/tenant/acme/node/1", ["node"]))
    assert node.secrets.transit.encrypt_data("c-one", b64("x"))["data"]["ciphertext"]
    refused(exceptions.Forbidden, node.secrets.transit.encrypt_data, "d-one", b64("x"))
    refused(exceptions.Forbidden, node.secrets.transit.read_key, "c-one")


@check("cert", "an identity that is revoked is nobody, at once")
def _(world):
    spiffe_id = "spiffe://lethe.local/tenant/acme/node/2"
    pair = new_identity(world, spiffe_id, ["node"])
    assert with_certificate(world, pair).secrets.transit.encrypt_data("c-one", b64("x"))
    world.client.write("lethe/identities/revoke", id=spiffe_id, reason="lost")
    try:
        with_certificate(world, pair).secrets.transit.encrypt_data("c-one", b64("x"))
    except (exceptions.Forbidden, requests.exceptions.ConnectionError):
        return
    raise AssertionError("a revoked identity encrypts")


@check("cert", "a certificate's login gives a token, where there is an entry for it")
def _(world):
    pair = (str(world.folder / "client.pem"), str(world.folder / "client.key"))
    worker = with_certificate(world, pair)
    login = {"name": "workers", "cert_pem": pair[0], "key_pem": pair[1]}
    for options in (login, {**login, "name": "absent"}):
        try:
            with_certificate(world, pair).auth.cert.login(**options)
        except (exceptions.Forbidden, exceptions.InvalidRequest):
            continue
        raise AssertionError("a login without an entry")
    world.client.auth.cert.create_ca_certificate_role(
        "workers", certificate=str(world.folder / "client-ca.pem"), token_policies=["node"], token_ttl=600)
    auth = worker.auth.cert.login(**login)["auth"]
    assert auth["client_token"] and "node" in auth["policies"] and 0 < auth["lease_duration"] <= 600, auth
    assert auth["metadata"]["common_name"] == "worker" and auth["metadata"]["cert_name"] == "workers", auth
    assert worker.secrets.transit.encrypt_data("c-one", b64("x"))["data"]["ciphertext"]
    refused(exceptions.Forbidden, worker.secrets.transit.read_key, "c-one")


# ---------------------------------------------------------------------------------------------------

def main():
    address, ca_file, token_file, group = sys.argv[1:]
    world = World(address, ca_file, pathlib.Path(token_file).read_text().strip())
    world.folder = pathlib.Path(token_file).parent
    failed = 0
    for name, function in checks[group]:
        try:
            function(world)
            print(f"ok {name}")
        except Exception:  # pylint: disable=broad-except
            failed += 1
            print(f"not ok {name}")
            print(traceback.format_exc())
        sys.stdout.flush()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
