"""release_peer.py CERTIFICATE KEY: attested release by another hand, out of docs/release-protocol.md and RFC 9180.

As transit_peer.py, and lethe/release: every binding is computed anew, and a key comes of a shard's id. What is
said at control/mode makes it answer wrongly.
"""
import base64
import hashlib
import hmac
import json
import os
import struct

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import transit_peer
from transit_peer import Handler, Refused

SERVICE = "lethe-kms:" + "ab" * 32
NODE = "spiffe://example.org/tenant/acme/model-loader-sa"
KEM, SUITE = b"KEM\x00\x20", b"HPKE\x00\x20\x00\x01\x00\x02"


class Release:
    mode = ""
    nonces = set()


def text(data):
    return base64.b64encode(data).decode()


def extract(salt, suite, label, data):
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + data, "sha256")


def expand(key, suite, label, info, size):
    info = struct.pack(">H", size) + b"HPKE-v1" + suite + label + info
    out, block = b"", b""
    while len(out) < size:
        block = hmac.digest(key, block + info + bytes([len(out) // 32 + 1]), "sha256")
        out += block
    return out[:size]


def seal(public, info, aad, plain):
    own = X25519PrivateKey.generate()
    sent = own.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    met = own.exchange(X25519PublicKey.from_public_bytes(public))
    shared = expand(extract(b"", KEM, b"eae_prk", met), KEM, b"shared_secret", sent + public, 32)
    context = b"\x00" + extract(b"", SUITE, b"psk_id_hash", b"") + extract(b"", SUITE, b"info_hash", info)
    secret = extract(shared, SUITE, b"secret", b"")
    key, nonce = (expand(secret, SUITE, label, context, size) for label, size in ((b"key", 32), (b"base_nonce", 12)))
    return sent, AESGCM(key).encrypt(nonce, plain, aad)


def challenge():
    if Release.mode == "denied":
        raise Refused(403, "certificate_needed: no")
    nonce = os.urandom(16 if Release.mode == "short_nonce" else 32)
    Release.nonces.add(nonce)
    pcrs = {"pcr_24": [0, 24], "no_pcrs": "7"}.get(Release.mode, [0, 7])
    return {"nonce": text(nonce), "expires_in": 60, "service": SERVICE, "pcrs": pcrs}


def bound(nonce, public, request):
    parts = (b"lethe-release-v1", SERVICE.encode(), nonce, NODE.encode(), public, request)
    return hashlib.sha256(b"".join(struct.pack("<I", len(part)) + part for part in parts)).digest()


def check(request, evidence, binding):
    said = json.loads(request)
    expected = {"principal": "model-loader-sa", "operation": "decrypt_for_vram_load", "tenant": "acme", "model_id": "llama",
                "purpose": "load", "release": 7, "engine": {"digest": "sha256:00"}}
    if {name: said[name] for name in expected} != expected or said["tier"] not in ("hot", "cold"):
        raise Refused(403, "request_malformed: other members were expected")
    if evidence != {"kind": "none", "binding": binding.hex(), "pcrs": 0x81}:
        raise Refused(403, "binding_mismatch: the evidence is of something else")
    return said["shards"]


def keys_of(shards):
    keys = [struct.pack("<I", 32) + hashlib.sha256(shard["id"].encode()).digest() for shard in shards]
    return {"fewer": b"".join(keys[:-1]), "more": b"".join([*keys, keys[0]]), "none": b"",
            "long": struct.pack("<I", 4097) + bytes(4097), "empty": struct.pack("<I", 0),
            "cut": b"".join(keys)[:-1]}.get(Release.mode, b"".join(keys))


def release(fields):
    nonce, public, request, evidence = (base64.b64decode(fields[name], validate=True)
                                        for name in ("nonce", "public_key", "request", "evidence"))
    if Release.mode in ("used", "used_once") or nonce not in Release.nonces:
        Release.mode = "used" if Release.mode == "used" else ""
        raise Refused(403, "nonce_unknown: ask again")
    Release.nonces.remove(nonce)
    binding = bound(nonce, public, request)
    shards = check(request, json.loads(evidence), binding)
    if Release.mode == "revoked":
        raise Refused(403, "key_unusable: the key was revoked")
    info = bytes(32) if Release.mode == "other_binding" else binding
    aad = b"lethe-keys-v2" if Release.mode == "other_aad" else b"lethe-keys-v1"
    if Release.mode == "other_key":
        public = bytes([9]) + bytes(31)  # the base point: whoever has the number 1
    sent, cipher = seal(public, info, aad, keys_of(shards))
    if Release.mode == "changed":
        cipher = bytes([cipher[0] ^ 1]) + cipher[1:]
    if Release.mode == "short_key":
        sent = sent[:-1]
    cipher = "!" if Release.mode == "no_base64" else text(cipher)
    return {"encapsulated_key": text(sent), "ciphertext": cipher}


def with_release(dispatch):
    def inner(self, parts, query, fields):
        if parts == ["control", "mode"]:
            Release.mode = fields["mode"]
            return {}
        if parts[:2] == ["lethe", "release"]:
            return challenge() if parts[2:] == ["challenge"] else release(fields)
        return dispatch(self, parts, query, fields)
    return inner


Handler.dispatch = with_release(Handler.dispatch)
transit_peer.main()
