#!/usr/bin/python3
"""An independent reader and writer of Tink Streaming AEAD (AES-GCM-HKDF), on python3-cryptography.

    tink_reader.py vectors FOLDER            proves itself on tink_official.json and vectors.json
    tink_reader.py open KEYSET AADHEX IN OUT decrypts with a Tink JSON keyset
    tink_reader.py seal KEYSET AADHEX IN OUT encrypts

Written from Tink's description of the format, and from nothing of Lethe's. Refuses with status 3.
"""
import base64
import hashlib
import json
import os
import sys

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

HASHES = {"SHA1": hashes.SHA1, "SHA256": hashes.SHA256, "SHA512": hashes.SHA512}
PROTO_HASHES = {1: "SHA1", 3: "SHA256", 4: "SHA512"}
TYPE = "type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey"
TAG = 16
PREFIX = 7


class Refused(Exception):
    pass


class Stream:
    def __init__(self, key, segment_size, derived_key_size, hash_name):
        self.key, self.segment_size = key, segment_size
        self.dk, self.hash = derived_key_size, HASHES[hash_name]
        self.header_size = 1 + self.dk + PREFIX

    def _cipher(self, salt, aad):
        return AESGCM(HKDF(self.hash(), self.dk, salt, aad).derive(self.key))

    @staticmethod
    def _nonce(prefix, index, last):
        return prefix + index.to_bytes(4, "big") + bytes([last])

    def seal(self, plain, aad, salt=None, prefix=None):
        salt, prefix = salt or os.urandom(self.dk), prefix or os.urandom(PREFIX)
        cipher, out = self._cipher(salt, aad), [bytes([self.header_size]), salt, prefix]
        at, index, room = 0, 0, self.segment_size - TAG - self.header_size
        while True:
            last = at + room >= len(plain)
            nonce = self._nonce(prefix, index, last)
            out.append(cipher.encrypt(nonce, plain[at : at + room], None))
            if last:
                return b"".join(out)
            at, index, room = at + room, index + 1, self.segment_size - TAG

    def open(self, data, aad):
        if len(data) < self.header_size + TAG or data[0] != self.header_size:
            raise Refused("header")
        salt, prefix = data[1 : 1 + self.dk], data[1 + self.dk : self.header_size]
        cipher, out, index, at = self._cipher(salt, aad), [], 0, self.header_size
        while at < len(data):
            end = (index + 1) * self.segment_size
            last = end >= len(data)
            try:
                nonce = self._nonce(prefix, index, last)
                out.append(cipher.decrypt(nonce, data[at:end], None))
            except InvalidTag:
                raise Refused(f"segment {index}") from None
            if last and index > 0 and not out[-1]:
                raise Refused("empty last segment")
            index, at = index + 1, end
        return b"".join(out)


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value, shift, at = value | (byte & 0x7F) << shift, shift + 7, at + 1
        if byte < 0x80:
            return value, at


def message(data):
    """Fields of a protocol buffer with varints and byte strings."""
    fields, at = {}, 0
    while at < len(data):
        tag, at = varint(data, at)
        value, at = varint(data, at)
        if tag & 7 == 2:
            value, at = data[at : at + value], at + value
        fields[tag >> 3] = value
    return fields


def from_keyset(path):
    with open(path, encoding="utf-8") as file:
        keyset = json.load(file)
    (key,) = [k for k in keyset["key"] if k["keyId"] == keyset["primaryKeyId"]]
    data = key["keyData"]
    if data["typeUrl"] != TYPE or data["keyMaterialType"] != "SYMMETRIC":
        raise Refused("another type of key")
    fields = message(base64.b64decode(data["value"], validate=True))
    params = message(fields[2])
    return Stream(fields[3], params[1], params[2], PROTO_HASHES[params[3]])


# ---- vectors -------------------------------------------------------------------------------------


def reference_plaintext(size):
    return hashlib.shake_128(b"tink-ref" + str(size).encode()).digest(size)


def flip(at, bits):
    return lambda data: data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :]


C = 4096
CHANGES = {
    "truncate last byte": lambda d: d[:-1],
    "drop last segment": lambda d: d[: 3 * C],
    "drop to segment boundary 1": lambda d: d[:C],
    "append byte": lambda d: d + b"\0",
    "header len byte": flip(0, 1),
    "flip salt": flip(5, 1),
    "flip prefix": flip(35, 1),
    "swap segments 1,2": lambda d: d[:C] + d[2 * C : 3 * C] + d[C : 2 * C] + d[3 * C :],
    "flip tag seg 1": flip(2 * C - 1, 1),
    "flip body seg 2": flip(2 * C + 9, 0x80),
    "header only": lambda d: d[:40],
    "header+15": lambda d: d[:55],
    "empty": lambda d: b"",
    "duplicate last": lambda d: d + d[3 * C :],
    "remove middle": lambda d: d[:C] + d[2 * C :],
}


def both_ways(vector, plain, expected_sha256):
    stream = Stream(
        bytes.fromhex(vector["key"]),
        vector["segment_size"],
        vector.get("derived_key_size", 32),
        vector.get("hash", "SHA256"),
    )
    aad = bytes.fromhex(vector["aad"])
    if "salt" in vector:
        salt, prefix = bytes.fromhex(vector["salt"]), bytes.fromhex(vector["nonce_prefix"])
    else:
        header = bytes.fromhex(vector["ciphertext"])[1 : stream.header_size]
        salt, prefix = header[:-PREFIX], header[-PREFIX:]
    sealed = stream.seal(plain, aad, salt, prefix)
    assert expected_sha256 in (None, hashlib.sha256(sealed).hexdigest()), "sealed otherwise"
    assert stream.open(sealed, aad) == plain, "opened otherwise"
    return stream, aad, sealed


def check_vectors(folder):
    with open(os.path.join(folder, "tink_official.json"), encoding="utf-8") as file:
        official = json.load(file)["vectors"]
    with open(os.path.join(folder, "vectors.json"), encoding="utf-8") as file:
        own = json.load(file)
    for vector in official:
        digest = hashlib.sha256(bytes.fromhex(vector["ciphertext"])).hexdigest()
        both_ways(vector, bytes.fromhex(vector["plaintext"]), digest)
    for vector in own["vectors"]:
        plain = reference_plaintext(vector["plaintext_size"])
        both_ways(vector, plain, vector["ciphertext_sha256"])
    base = own["negative_base"]
    stream, aad, good = both_ways(base, reference_plaintext(base["plaintext_size"]), None)
    for vector in own["negative"]:
        bad = CHANGES[vector["name"]](good)
        assert hashlib.sha256(bad).hexdigest() == vector["ciphertext_sha256"], vector["name"]
        try:
            stream.open(bad, aad)
        except Refused:
            continue
        raise AssertionError(vector["name"] + " was opened")
    print(len(official), "official,", len(own["vectors"]), "other,", len(own["negative"]), "negative")


def main(arguments):
    if arguments[0] == "vectors":
        return check_vectors(arguments[1])
    keyset, aad, source, target = arguments[1:]
    stream = from_keyset(keyset)
    with open(source, "rb") as file:
        data = file.read()
    work = {"open": stream.open, "seal": stream.seal}[arguments[0]]
    result = work(data, bytes.fromhex(aad))
    with open(target, "wb") as file:
        file.write(result)
    return None


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Refused as refused:
        print("refused:", refused, file=sys.stderr)
        sys.exit(3)
