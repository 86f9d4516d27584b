#!/usr/bin/python3
"""Clients that others wrote, unmodified, against the key service: Debian's hvac, and npm's node-vault."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

from scenario import TESTS, Skip, case, finish

CLIENTS = TESTS / "clients"
INSTALLED = pathlib.Path(os.environ.get("LETHE_TEST_CLIENTS", TESTS.parent / "build" / "clients"))
GROUPS = ("keys", "data", "transport", "tokens", "policies", "sys", "pki", "cert")
TIMEOUT_S = 120


# All clients here come from one address, also those that show wrong tokens, and some connect for every call.
SETTINGS = """[listen]
client_roots = {roots}
[limits]
penalty = 1ms
handshakes_per_second = 100000
"""


def client_authority(place):
    """An authority of the operator's own, and a worker's certificate of it: client-ca.pem, client.pem, client.key."""
    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=place.work, check=True, capture_output=True, timeout=TIMEOUT_S)
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *new_key, "-keyout", "client-ca.key", "-out", "client-ca.pem", "-days", "2",
            "-subj", "/CN=operator")
    openssl("req", *new_key, "-keyout", "client.key", "-out", "client.csr", "-subj", "/CN=worker",
            "-addext", "extendedKeyUsage=clientAuth")
    openssl("x509", "-req", "-in", "client.csr", "-CA", "client-ca.pem", "-CAkey", "client-ca.key", "-days", "2",
            "-copy_extensions", "copy", "-out", "client.pem")


@contextlib.contextmanager
def service(place):
    """`kms serve --dev`: a home of its own, a certificate of its own, any port. Gives what it says of itself."""
    client_authority(place)
    settings = place.write("kms.conf", SETTINGS.format(roots=place.work / "client-ca.pem").encode())
    settings.chmod(0o600)
    process = place.start("kms", "serve", "--dev", "--json", "--listen", "127.0.0.1:0", "--config", settings)
    try:
        line = process.stdout.readline()
        assert line, process.communicate(timeout=20)[1].decode()
        yield json.loads(line)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
    assert process.returncode == 0, f"kms serve ended with {process.returncode}"


def run_client(place, *words, env=None):
    """A client's checks; what it printed, when one failed."""
    with service(place) as ready:
        token = place.write("token", ready["root_token"].encode())
        token.chmod(0o600)
        done = subprocess.run([*words[:2], ready["address"], ready["ca_file"], str(token), *words[2:]],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT_S, check=False,
                              env={**place.env, **(env or {})})
        out = done.stdout.decode(errors="replace")
        assert done.returncode == 0 and "ok " in out, out
        print("\n".join(f"#   {line}" for line in out.splitlines()))


def with_hvac(group):
    def run(place):
        try:
            import hvac  # pylint: disable=import-outside-toplevel,unused-import
        except ImportError as error:
            raise Skip("python3-hvac is not here") from error
        run_client(place, sys.executable, str(CLIENTS / "with_hvac.py"), group)
    return run


for name in GROUPS:
    case(f"hvac: {name}")(with_hvac(name))


@case("node-vault: keys, data, tokens, policies, certificates (K-3, K-4, P-1)")
def _(place):
    node = shutil.which("node")
    if node is None or not (INSTALLED / "node_modules" / "node-vault").is_dir():
        raise Skip("node-vault is not here: tools/deps clients")
    run_client(place, node, str(CLIENTS / "with_node_vault.cjs"), env={"LETHE_TEST_CLIENTS": str(INSTALLED)})


finish()
