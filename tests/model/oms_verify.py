#!/usr/bin/python3
"""An OpenSSF Model Signing verifier and signer that shares nothing with Lethe's.

  oms_verify.py prove VECTORS           accepts the upstream fixtures, refuses changed copies of them
  oms_verify.py verify DIR PUB.pem      checks DIR/model.sig and every file of DIR
  oms_verify.py sign DIR CURVE METHOD PUB.pem
                                        signs DIR with a new key of P-256, P-384 or P-521
"""
import base64
import hashlib
import json
import os
import shutil
import sys
import tempfile

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

MEDIA = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://model_signing/signature/v1.0"
CURVES = {"P-256": (ec.SECP256R1, hashes.SHA256), "P-384": (ec.SECP384R1, hashes.SHA384),
          "P-521": (ec.SECP521R1, hashes.SHA512)}
DIGEST_OF = {curve.name: digest for curve, digest in CURVES.values()}
SHARD = 1000  # small, so that small files have several


class Refused(Exception):
    pass


def check(condition, why):
    if not condition:
        raise Refused(why)


def unique(pairs):
    check(len({name for name, _ in pairs}) == len(pairs), "duplicate JSON key")
    return dict(pairs)


def pae(payload):
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD), PAYLOAD.encode(), len(payload), payload)


def pem_of(key):
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def files_below(directory):
    return sorted(os.path.relpath(os.path.join(folder, name), directory)
                  for folder, _, names in os.walk(directory) for name in names)


def signed_payload(bundle, key):
    check(bundle["mediaType"] == MEDIA, "media type")
    material = bundle["verificationMaterial"]
    check(not material.get("tlogEntries"), "log entries")
    named = material["publicKey"]
    if "hint" in named:
        check(named["hint"] == hashlib.sha256(pem_of(key)).hexdigest(), "hint")
    else:
        check(base64.b64decode(named["rawBytes"]) == pem_of(key), "rawBytes")
    envelope = bundle["dsseEnvelope"]
    check(envelope["payloadType"] == PAYLOAD and len(envelope["signatures"]) == 1, "envelope")
    payload = base64.b64decode(envelope["payload"], validate=True)
    signature = base64.b64decode(envelope["signatures"][0]["sig"], validate=True)
    try:
        key.verify(signature, pae(payload), ec.ECDSA(DIGEST_OF[key.curve.name]()))
    except InvalidSignature:
        raise Refused("signature")
    return payload


def pieces_of(statement):
    """{path: [(start, end, digest)]}; end is None for whole files."""
    check(statement["_type"] == STATEMENT and statement["predicateType"] == PREDICATE, "types")
    (subject,) = statement["subject"]
    predicate = statement["predicate"]
    check(set(predicate) == {"resources", "serialization"}, "predicate")
    how = predicate["serialization"]
    check(how["hash_type"] == "sha256" and how["method"] in ("files", "shards"), "serialization")
    root, pieces = hashlib.sha256(), {}
    for resource in predicate["resources"]:
        check(resource["algorithm"] == "sha256", "algorithm")
        root.update(bytes.fromhex(resource["digest"]))
        path, start, end = resource["name"], 0, None
        if how["method"] == "shards":
            path, start, end = path.rsplit(":", 2)
        pieces.setdefault(path, []).append((int(start), end and int(end), resource["digest"]))
    check(root.hexdigest() == subject["digest"]["sha256"], "root")
    return pieces, how.get("ignore_paths", [])


def verify(directory, key, unsigned=("model.sig",)):
    with open(os.path.join(directory, "model.sig"), encoding="utf-8") as file:
        bundle = json.load(file, object_pairs_hook=unique)
    statement = json.loads(signed_payload(bundle, key), object_pairs_hook=unique)
    pieces, ignored = pieces_of(statement)
    found = {path for path in files_below(directory)
             if path not in ignored and path not in unsigned}
    check(found == set(pieces), "files")
    for path, parts in pieces.items():
        check(not os.path.islink(os.path.join(directory, path)), "symlink")
        with open(os.path.join(directory, path), "rb") as file:
            content = file.read()
        at = 0
        for start, end, digest in sorted(parts, key=lambda part: part[0]):
            check(start == at, "gap")
            at = len(content) if end is None else end
            check(hashlib.sha256(content[start:at]).hexdigest() == digest, "digest")
        check(at == len(content), "size")
    return len(pieces)


def resources_of(directory, method):
    for path in files_below(directory):
        with open(os.path.join(directory, path), "rb") as file:
            content = file.read()
        step = SHARD if method == "shards" else max(len(content), 1)
        for start in range(0, len(content) if method == "shards" else 1, step):
            part = content[start:start + step]
            name = f"{path}:{start}:{start + len(part)}" if method == "shards" else path
            yield {"name": name, "digest": hashlib.sha256(part).hexdigest(), "algorithm": "sha256"}


def sign(directory, curve, method):
    """Orders by code points, as the specification says; upstream orders by path components."""
    private = ec.generate_private_key(CURVES[curve][0]())
    resources = sorted(resources_of(directory, method), key=lambda resource: resource["name"])
    root = hashlib.sha256(b"".join(bytes.fromhex(r["digest"]) for r in resources))
    how = {"method": method, "hash_type": "sha256", "allow_symlinks": False}
    if method == "shards":
        how["shard_size"] = SHARD
    payload = json.dumps({
        "_type": STATEMENT, "subject": [{"name": "m", "digest": {"sha256": root.hexdigest()}}],
        "predicateType": PREDICATE, "predicate": {"serialization": how, "resources": resources}},
        indent=1).encode()
    signature = private.sign(pae(payload), ec.ECDSA(CURVES[curve][1]()))
    pem = pem_of(private.public_key())
    with open(os.path.join(directory, "model.sig"), "w", encoding="utf-8") as file:
        json.dump({"mediaType": MEDIA, "verificationMaterial": {
            "publicKey": {"hint": hashlib.sha256(pem).hexdigest()}}, "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(), "payloadType": PAYLOAD,
            "signatures": [{"sig": base64.b64encode(signature).decode()}]}}, file)
    return pem


def load_public(path):
    with open(path, "rb") as file:
        text = file.read()
    return serialization.load_pem_public_key(text[text.index(b"-----BEGIN PUBLIC"):])


FIXTURE_UNSIGNED = ("model.sig", "ignore-me")  # 1.0.1 did not write down what it ignored


def must_refuse(directory, key, change):
    with tempfile.TemporaryDirectory() as scratch:
        copy = shutil.copytree(directory, os.path.join(scratch, "model"))
        change(copy)
        try:
            verify(copy, key, FIXTURE_UNSIGNED)
        except (Refused, ValueError, KeyError):
            return
    sys.exit(f"a changed copy was accepted: {change.__name__}")


def prove(vectors):
    key = load_public(f"{vectors}/keys/signing-key-pub.pem")

    def edit(name, old, new):
        def change(copy):
            path = os.path.join(copy, name)
            with open(path, "rb") as file:
                content = file.read()
            assert old in content
            with open(path, "wb") as file:
                file.write(content.replace(old, new, 1))
        return change

    for version in ("v1.0.1", "v1.1.0"):
        directory = f"{vectors}/{version}-elliptic-key"
        verify(directory, key, FIXTURE_UNSIGNED)
        with open(f"{directory}/signme-1", "rb") as file:
            content = file.read()
        must_refuse(directory, key, edit("signme-1", content, content[:-1] + b"?"))
        must_refuse(directory, key, edit("signme-1", content, content + b"?"))
        must_refuse(directory, key, edit("model.sig", b'"MG', b'"MH'))
        must_refuse(directory, key, edit("model.sig", b'"ewog', b'"ewoK'))
        must_refuse(directory, key, edit("model.sig", b"{", b'{"mediaType":"", '))
        must_refuse(directory, key, lambda copy: os.remove(os.path.join(copy, "signme-2")))
        must_refuse(directory, key, lambda copy: os.mknod(os.path.join(copy, "extra")))
        other = ec.generate_private_key(ec.SECP384R1()).public_key()
        must_refuse(directory, other, lambda copy: None)


def main(command, *arguments):
    if command == "prove":
        prove(*arguments)
    elif command == "verify":
        try:
            print(verify(arguments[0], load_public(arguments[1])), "files")
        except (Refused, ValueError, KeyError) as why:
            sys.exit(f"refused: {why}")
    elif command == "sign":
        pem = sign(*arguments[:3])
        with open(arguments[3], "wb") as file:
            file.write(pem)


if __name__ == "__main__":
    main(*sys.argv[1:])
