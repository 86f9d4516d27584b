#!/usr/bin/python3
"""Prints seals.txt: seals as another implementation makes them, with nothing but hashlib and hmac.

A line is: profile, token, hardware id ("-": none), id, size of the content, digest, sealed_at, device, seal key,
signature; bytes in hex. The content's byte i is (7 * i + i // 256) mod 256.
"""
import hashlib
import hmac

DOMAINS = {"lethe": b"lethe-seal-key-v1", "contract": b"llorch-seal-key-v1"}


def hkdf_sha256(key, salt, info, size):  # RFC 5869
    prk = hmac.new(salt or bytes(32), key, hashlib.sha256).digest()
    out, block, count = b"", b"", 0
    while len(out) < size:
        count += 1
        block = hmac.new(prk, block + info + bytes([count]), hashlib.sha256).digest()
        out += block
    return out[:size]


def content(size):
    return bytes((7 * i + i // 256) % 256 for i in range(size))


def blocks_of(data):
    return [data[at:at + 4096].ljust(4096, b"\0") for at in range(0, len(data), 4096)]


def fsverity(data):  # Linux, struct fsverity_descriptor: SHA-256, blocks of 4096 bytes, no salt
    level = blocks_of(data)
    while len(level) > 1:
        level = blocks_of(b"".join(hashlib.sha256(block).digest() for block in level))
    root = hashlib.sha256(level[0]).digest()
    descriptor = (bytes([1, 1, 12, 0]) + bytes(4) + len(data).to_bytes(8, "little") +
                  root.ljust(64, b"\0") + bytes(32) + bytes(144))
    return hashlib.sha256(descriptor).digest()


def line(profile, token, salt, name, size, sealed_at, device):
    data = content(size)
    digest = (hashlib.sha256(data).digest() if profile == "contract" else fsverity(data)).hex()
    key = hkdf_sha256(token, salt, DOMAINS[profile], 32)
    text = f"{name}|{digest}|{sealed_at}|{device}".encode()
    signature = hmac.new(key, text, hashlib.sha256).hexdigest()
    return " ".join((profile, token.hex(), salt.hex() or "-", name, str(size), digest, str(sealed_at), device,
                     key.hex(), signature))


TOKENS = (bytes(range(16)), b"worker token, which is a secret: 42", bytes([255]) * 64)
SALTS = (b"", b"GPU-8f6d1a0c-0000-0000-0000-5ea1ed000001", bytes([0]) * 32)
for profile in DOMAINS:
    for token, salt in zip(TOKENS, SALTS):
        print(line(profile, token, salt, "shard-0", 1, 1795176000, "host:0"))
        print(line(profile, token, salt, "a" * 256, 4097, 0, "cuda:12"))
        print(line(profile, token, salt, "llama-3_layer_31", 1000003, 18446744073709551615, "host:0"))
