"""witness.py: an independent verifier of logs (tests/audit/verify_log), and a witness that signs with it."""
import importlib.machinery
import importlib.util

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from scenario import TESTS

loader = importlib.machinery.SourceFileLoader("verify_log", str(TESTS / "audit" / "verify_log"))
other = importlib.util.module_from_spec(importlib.util.spec_from_loader("verify_log", loader))
loader.exec_module(other)


class Witness:
    def __init__(self, place, name):
        self.name, self.private = name, Ed25519PrivateKey.generate()
        key = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.key_file = place.write(f"{name}.vkey", other.vkey(name, 4, key).encode())

    def cosign(self, note, when=1795176000):
        return other.cosign(note, self.name, self.private, when)
