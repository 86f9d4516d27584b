#!/usr/bin/python3
"""Attested release from end to end: a software TPM, a real service over TLS, and an engine that gets keys or not."""
import base64
import contextlib
import hashlib
import json
import os
import struct
import subprocess
import time

from attest_world import LOADER, PLAIN, POLICY, InEarnest, allow, tpm, world
from kms_service import KEY, engine_on, with_model
from scenario import LETHE, TESTS, TIMEOUT_S, Skip, case, finish

SAMPLES = TESTS / "vectors" / "sevsnp"
WITHOUT = b"""
path "transit/decrypt/default.*" { capabilities = ["update"] }
"""


def ima_entry(path, digest):
    """A measurement as the kernel lists it (template ima-ng), and what PCR 10 is extended with."""
    fields = (b"sha256:\0" + digest, path.encode() + b"\0")
    data = b"".join(struct.pack("<I", len(field)) + field for field in fields)
    head = struct.pack("<I", 10) + hashlib.sha1(data).digest() + struct.pack("<I", 6) + b"ima-ng"
    return head + struct.pack("<I", len(data)) + data, data


@case("a machine is enrolled, its state is good, and an engine runs; nothing went without evidence")
def _(place):
    with world(place) as w:
        shown = json.loads(place.good("attest", "show", "--json").out)
        assert shown["tpm2"] == "yes" and "none yet" in shown["tpm2_key"] and len(shown["tpm2_pcrs"]) == 24, shown
        assert not (place.home / "attest.key").exists()  # nothing is made by looking
        assert "lethe attest enroll" in w.denied("machine_unknown").err
        w.enroll()
        assert json.loads(place.good("attest", "show", "--json").out)["tpm2_enrolled"] == "rack7"
        assert "lethe attest reference add" in w.denied("measurement_unknown").err
        w.reference()
        w.runs()
        done = w.asked()
        assert (done["reason"], done["machine"], done["reference"]) == ("released", "rack7", "prod"), done
        saw = json.loads(done["input"])
        assert saw["identity"]["id"] == w.name and saw["environment"]["attestation_report"]["kind"] == "tpm2", saw
        (released,) = w.served.records("key_released")
        assert (released["key"], released["purpose"], released["requester"]) == (KEY, "load", w.name), released
        assert released["evidence_digest"].startswith("sha256:"), released
        out = place.root / "out"
        place.good("decrypt", w.model, "-o", out)
        assert (out / "a.bin").read_text() == PLAIN
        place.good("verify", w.model)
        assert [r["purpose"] for r in w.served.records("key_released")] == ["load", "decrypt", "verify"]
        assert all(r["evidence_digest"] for r in w.served.records("key_released"))
        state = w.served.good("kms", "status")
        counts = dict(line.split(maxsplit=1) for line in state.splitlines() if len(line.split()) > 1)
        assert (counts["machines"], counts["machines_revoked"], counts["references"]) == ("1", "0", "1"), state
        assert "rack7" in place.good("attest", "machines").out and '"pcrs"' in place.good("attest", "references").out


@case("options say what lethe.conf says; without evidence the same node gets no key")
def _(place):
    with world(place) as w:
        w.enroll()
        w.reference()
        w.served.configure(token_file="", certificate=w.certificate, key=w.key)
        refused = place.lethe("exec", w.model, "--", "/bin/cat", "{model}")
        assert refused.code == 4 and refused.out == "", refused
        words = ("--attest", "tpm2", "--tpm", w.device.tcti)
        assert place.good("exec", *words, w.model, "--", "/bin/cat", "{model}").out == PLAIN
        place.refused(2, "exec", "--attest", "tpm3", w.model, "--", "/bin/cat", "{model}")
        place.refused(5, "exec", "--attest", "tpm2", "--tpm", f"swtpm:path={place.work}/nothing", w.model, "--", "/bin/cat",
                      "{model}")
        key = place.work / "other.key"
        other = place.lethe("exec", *words, "--attest-key", key, w.model, "--", "/bin/cat", "{model}")
        assert other.code == 4 and "machine_unknown" in other.err and key.exists(), other


@case("another state is denied by the PCR that differs, and good again once an operator says so")
def _(place):
    with world(place) as w:
        w.enroll()
        w.reference()
        w.runs()
        w.device.extend(7, b"another kernel")
        w.denied("measurement_unknown", "PCR 7")
        answer = w.asked()
        assert answer["reason"] == "measurement_unknown" and "PCR 7" in answer["detail"], answer
        document = place.work / "reference.json"
        place.good("attest", "reference", "show", "--pcrs", "0,7", "-o", document)
        w.served.good("attest", "reference", "add", "prod", document)
        w.runs()
        assert w.asked()["reference_version"] == 2
        w.served.good("attest", "revoke", "reference", "prod", "--version", "2", "--reason", "a test")
        w.denied("measurement_unknown", "PCR 7")


@case("what is revoked gets nothing at once: reference value, machine, key, identity; nor does who is not allowed")
def _(place):
    with world(place) as w:
        w.enroll()
        w.reference("first")
        w.runs()
        allow(w.served, default={"a": False})
        w.denied("policy_denied")
        assert w.asked()["rule_allows"] is False
        allow(w.served, default={"a": True})
        w.runs()
        w.served.good("attest", "revoke", "reference", "first", "--reason", "a test")
        w.denied("measurement_unknown")
        w.reference("second")
        w.runs()
        w.served.good("kms", "write", f"lethe/keys/{KEY}/revoke", "reason=x")
        refused = w.run()
        assert refused.code == 4 and refused.out == "" and "revoked" in refused.err, refused
        w.served.good("kms", "write", f"transit/keys/{KEY}/rotate")
        place.good("rewrap", w.model, *w.served.words(), env={**place.env, "LETHE_KMS_CERTIFICATE": ""})
        w.runs()
        w.served.good("attest", "revoke", "machine", "rack7", "--reason", "a test")
        w.denied("machine_revoked")
        state = w.served.good("kms", "status").split()
        assert state[state.index("machines_revoked") + 1] == "1" and state[state.index("references_revoked") + 1] == "1"
        assert place.lethe("attest", "enroll", "again", *w.served.words()).code != 0  # not under another name either
        w.served.good("identity", "revoke", w.name, "--reason", "stolen")
        refused = w.run()
        assert refused.code == 4 and refused.out == "", refused


@case("a running engine ends when its key is revoked, and the TPM is free for others meanwhile")  # K-9
def _(place):
    with world(place) as w:
        w.enroll()
        w.reference()
        engine = engine_on(place, w.model)
        time.sleep(1.5)
        w.device.tool("tpm2_pcrread", "sha256:7")
        w.served.good("kms", "write", f"lethe/keys/{KEY}/revoke", "reason=x")
        _, err = engine.communicate(timeout=TIMEOUT_S)
        assert engine.returncode == 4 and b"wiped and verified" in err, err


@case("others: a certificate of another tenant, a machine of another identity, another machine's key file")
def _(place):
    with world(place) as w:
        w.enroll("mine", "--identity", w.name)
        w.reference()
        w.runs()
        foreign = w.another(f"tenant/other/{LOADER}")
        refused = place.lethe("release", "--dry-run", w.model, *foreign)
        assert refused.code == 3 and "identity_mismatch" in refused.out, refused
        refused = place.lethe("exec", *foreign, w.model, "--", "/bin/cat", "{model}")
        assert refused.code == 4 and refused.out == "", refused
        refused = place.lethe("exec", *w.another(f"second/{LOADER}"), w.model, "--", "/bin/cat", "{model}")
        assert refused.code == 4 and "machine_foreign: " in refused.err, refused
        with tpm(place, "elsewhere") as elsewhere:
            refused = place.lethe("exec", "--tpm", elsewhere.tcti, w.model, "--", "/bin/cat", "{model}")
            assert refused.code != 0 and refused.out == "", refused  # the key is wrapped by another TPM
        w.runs()


@case("the service that was named gets evidence, and no other")
def _(place):
    with world(place) as w:
        w.enroll()
        w.reference()
        settings = {"token_file": "", "certificate": w.certificate, "key": w.key, "attest": "tpm2", "tpm": w.device.tcti}
        w.served.configure(**settings, service="lethe-kms:" + "0" * 64)
        before = len(w.served.records("attestation_verified"))
        refused = w.run()
        assert refused.code == 4 and "another key service" in refused.err, refused
        assert len(w.served.records("attestation_verified")) == before
        named = refused.err.split("lethe-kms:")[1][:64]
        w.served.configure(**settings, service="lethe-kms:" + named)
        w.runs()


@case("a policy of the operator's lets an engine run that it lists, and no other")
def _(place):
    with world(place) as w:
        w.enroll()
        w.reference()
        listed = hashlib.sha256(open("/bin/cat", "rb").read()).hexdigest()
        module = place.write("release.rego", f"""package model_serving.decryption

allow_decrypt := {{"allowed": true, "justification": "a listed engine"}} if {{
	input.environment.attestation_report.valid == true
	is_object(input.environment.attestation_report.reference)
	input.request.engine.digest == "sha256:{listed}"
	input.request.engine.sandbox in {{"tmpfs", "memfd"}}
}}
""".encode())
        tests = place.write("release_test.rego", b"""package model_serving.decryption_test

test_nobody if not data.model_serving.decryption.allow_decrypt with input as {}
""")
        w.served.good("kms", "write", "lethe/policies/modules/release", f"rego=@{module}", f"tests=@{tests}")
        w.runs()
        refused = place.lethe("exec", w.model, "--", "/usr/bin/head", "-c", "1", "{model}")
        assert refused.code == 4 and refused.out == "" and "policy_denied: " in refused.err, refused
        refused = place.lethe("decrypt", w.model, "-o", place.root / "out")  # which starts no engine
        assert refused.code == 4 and "policy_denied: " in refused.err and not (place.root / "out").exists(), refused


@case("the IMA log says which loader ran: the one that is listed gets keys, until another one has run")
def _(place):
    with world(place, f"loader = {LETHE}") as w:
        log = place.work / "ima"

        def measured(path, digest):
            entry, data = ima_entry(path, digest)
            with log.open("ab") as file:
                file.write(entry)
            w.device.extend(10, data)

        w.enroll()
        w.served.configure(token_file="", certificate=w.certificate, key=w.key, attest="tpm2", tpm=w.device.tcti, ima_log=log)
        w.served.good("attest", "reference", "add", "prod", "--from-machine", "--pcrs", "0,7", "--loader", LETHE,
                      "--tpm", w.device.tcti)
        measured("boot_aggregate", bytes(32))
        with open(LETHE, "rb") as file:
            measured(LETHE, hashlib.file_digest(file, "sha256").digest())
        w.runs()
        measured("/usr/bin/other", bytes(range(32)))
        w.runs()  # the log grows with every program, and the measurement stays
        entry, _ = ima_entry("/usr/bin/hidden", bytes(32))
        whole = log.read_bytes()
        log.write_bytes(whole[:-1])
        w.denied("ima_log")
        log.write_bytes(entry + whole)
        w.denied("ima_log")
        log.write_bytes(whole)
        w.runs()
        measured(LETHE, hashlib.sha256(b"another loader").digest())
        w.denied("measurement_unknown", "loader")


@case("a service that releases keys of models to attested machines only: no other way leads to them")
def _(place):
    with world(place, "only = yes") as w:
        w.enroll()
        w.reference()
        w.served.good("kms", "write", "sys/policy/loader", f"policy=@{place.write('more.hcl', POLICY + WITHOUT)}")
        w.runs()
        w.served.configure(token_file="", certificate=w.certificate, key=w.key)
        refused = w.run()
        assert refused.code == 4 and refused.out == "" and "attested" in refused.err, refused
        w.served.configure()  # nor with the root token
        refused = w.run()
        assert refused.code == 4 and refused.out == "", refused


@case("a kept key spares a release as long as it may, and only with a time to live")  # K-10
def _(place):
    with world(place) as w:
        w.enroll()
        w.reference()
        w.runs()
        assert not place.records("key_cached")
        w.served.configure(token_file="", certificate=w.certificate, key=w.key, attest="tpm2", tpm=w.device.tcti,
                           cache_ttl="60s")
        w.runs()
        (cached,) = place.records("key_cached")
        assert (cached["key"], cached["ttl_s"]) == (KEY, 60), cached
        assert place.records("key_expired")


@case("a program with the library has a worker load a model by evidence, and stops when a key is revoked")
def _(place):
    program = os.environ.get("KEY_SERVICE_LOAD")
    if program is None:
        raise Skip("the example was not built")
    with world(place) as w:
        (place.home / "lethe.conf").unlink()  # it says itself what it asks, and how
        words = (program, w.model, w.served.address, w.served.ca, w.certificate, w.key, w.device.tcti)
        options = {"cwd": place.work, "env": place.env, "stdin": subprocess.PIPE, "stdout": subprocess.PIPE,
                   "stderr": subprocess.PIPE}

        def start():
            return subprocess.Popen([*map(str, words)], **options)

        refused = start()
        out, err = refused.communicate(b"\n", timeout=TIMEOUT_S)
        assert refused.returncode == 4 and out == b"" and b"machine_unknown" in err, (out, err)
        w.enroll("rack7", "--tpm", w.device.tcti)
        w.reference()
        loads = start()
        loads.stdin.write(b"\n")
        loads.stdin.flush()
        line = loads.stdout.readline().decode()
        assert line == f"3000 bytes, their sum is {3000 * ord('a')}\n", (line, loads.communicate(timeout=TIMEOUT_S))
        (released,) = w.served.records("key_released")
        assert released["purpose"] == "load" and released["evidence_digest"], released
        w.served.good("kms", "write", f"lethe/keys/{KEY}/revoke", "reason=x")
        time.sleep(1.2)
        out, err = loads.communicate(b"\n", timeout=TIMEOUT_S)
        assert loads.returncode == 4 and out == b"" and b"revoked" in err, (out, err)
        w.device.extend(7, b"another kernel")
        refused = start()
        _, err = refused.communicate(b"\n", timeout=TIMEOUT_S)
        assert refused.returncode == 4 and b"measurement_unknown" in err, err


def quoted(device, nonce, *words):
    """A quote as tpm2-tools make it, in files."""
    device.tool("tpm2_createek", "-c", "ek.ctx", "-G", "ecc")
    device.tool("tpm2_createak", "-C", "ek.ctx", "-c", "ak.ctx", "-u", "ak.pub", "-n", "ak.name", *words)
    device.tool("tpm2_readpublic", "-c", "ak.ctx", "-f", "pem", "-o", "ak.pem")
    device.tool("tpm2_readpublic", "-c", "ak.ctx", "-f", "tpmt", "-o", "ak.tpmt")
    device.tool("tpm2_quote", "-c", "ak.ctx", "-l", "sha256:0,7", "-q", nonce, "-m", "quote", "-s", "signature", "-o",
                "pcrs", "-F", "values", "-g", "sha256")


@case("evidence in files is checked offline: quotes of tpm2-tools, a report of AMD's, and what was changed")
def _(place):
    nonce = "00112233445566778899aabbccddeeff"
    with tpm(place) as device:
        for words in (("-G", "ecc", "-g", "sha256", "-s", "ecdsa"), ("-G", "rsa", "-g", "sha256", "-s", "rsassa")):
            quoted(device, nonce, *words)
            at = device.state

            def verify(ak="ak.pub", quote="quote", nonce=nonce):
                return place.lethe("attest", "verify", "--kind", "tpm2", "--quote", at / quote, "--signature",
                                   at / "signature", "--ak", at / ak, "--pcrs", at / "pcrs", "--nonce", nonce, "--json")

            for ak in ("ak.pub", "ak.tpmt"):
                done = verify(ak)
                assert done.code == 0 and json.loads(done.out)["verified"] is True, done
                assert "note" not in json.loads(done.out)
            done = verify("ak.pem")
            assert done.code == 0 and "does not say" in json.loads(done.out)["note"], done
            done = verify(nonce="ff" * 16)
            assert done.code == 3 and json.loads(done.out)["reason"] == "binding_mismatch", done
            changed = bytearray((at / "quote").read_bytes())
            changed[-1] ^= 1
            (at / "changed").write_bytes(changed)
            done = verify(quote="changed")
            assert done.code == 3 and json.loads(done.out)["verified"] is False, done
            for name in ("ak.ctx", "ek.ctx"):
                (at / name).unlink()
        place.refused(2, "attest", "verify", "--kind", "tpm2", "--quote", at / "quote")
        place.refused(2, "attest", "verify", "--kind", "sgx")
        evidence = place.work / "evidence.json"
        place.good("attest", "evidence", "--tpm", device.tcti, "--attest-key", place.work / "k", "--nonce", "ab" * 32, "--pcrs",
                   "0-3,7", "-o", evidence)
        made = json.loads(evidence.read_text())
        assert made["kind"] == "tpm2" and sorted(made["pcrs"]) == ["0", "1", "2", "3", "7"], made
        for name in ("quote", "signature", "ak"):
            (device.state / f"our.{name}").write_bytes(base64.b64decode(made[name]))
        (device.state / "our.pcrs").write_bytes(b"".join(bytes.fromhex(made["pcrs"][n]) for n in "01237"))
        done = place.lethe("attest", "verify", "--kind", "tpm2", "--quote", device.state / "our.quote", "--signature",
                           device.state / "our.signature", "--ak", device.state / "our.ak", "--pcrs", device.state / "our.pcrs",
                           "--nonce", "ab" * 32)
        assert done.code == 0 and "verified" in done.out, done
    guest = ("attest", "verify", "--kind", "sev-snp", "--vek", SAMPLES / "trustee-test-vcek.der")
    done = place.lethe(*guest, "--report", SAMPLES / "trustee-test-report.bin", "--at", "2026-01-01T00:00:00Z", "--json")
    shown = json.loads(done.out)
    assert done.code == 0 and shown["verified"] is True and shown["kind"] == "sev-snp", done
    done = place.lethe(*guest, "--report", SAMPLES / "trustee-test-report.bin", "--at", "2020-01-01T00:00:00Z")
    assert done.code == 3 and "certificate_dates" in done.out, done
    changed = bytearray((SAMPLES / "trustee-test-report.bin").read_bytes())
    changed[0x90] ^= 1  # in its measurement
    done = place.lethe(*guest, "--report", place.write("report", changed), "--at", "2026-01-01T00:00:00Z")
    assert done.code == 3 and "signature" in done.out, done
    refused = place.refused(5, "attest", "evidence", "--kind", "tpm2", "--tpm", f"swtpm:path={place.work}/nothing",
                            "-o", place.work / "none")
    assert "hint" in refused.err and not (place.work / "none").exists(), refused


@case("a denial of many shards is asked for once, and on record once")
def _(place):
    with world(place) as w:
        w.enroll()
        w.reference()
        files = [place.write(f"{n}.bin", bytes([97 + n]) * 3000) for n in range(3)]
        model = place.work / "many"
        place.good("encrypt", *files, "--model", "many", "-o", model, *w.served.words(),
                   env={**place.env, "LETHE_KMS_CERTIFICATE": "", "LETHE_KMS_KEY": ""})
        allow(w.served, default={"many": True})
        place.good("verify", model)
        assert len(w.served.records("key_released")) >= 1
        w.device.extend(7, b"another kernel")
        w.device.extend(0, b"other firmware")
        w.served.good("attest", "reference", "add", "nearest", "--from-machine", "--tpm", w.device.tcti)
        w.device.extend(7, b"a third kernel")
        before = len(w.served.records("key_denied"))
        refused = place.lethe("decrypt", model, "-o", place.root / "out")
        assert refused.code == 4 and "measurement_unknown: " in refused.err and "PCR 7" in refused.err, refused
        assert "nearest" in refused.err, refused
        assert len(w.served.records("key_denied")) == before + 1, w.served.records("key_denied")[before:]


@contextlib.contextmanager
def proving(place, settings="evidence = tpm2"):
    """A service whose own machine has a TPM, and a model under its keys."""
    with tpm(place, "own") as device:
        served = InEarnest(place, f"{settings}\ntpm = {device.tcti}" if "tpm2" in settings else settings)
        try:
            yield served.start(), device
        finally:
            served.stop()


def shown_service(served, *words):
    done = served.place.lethe("attest", "service", *served.words(), "--json", *words)
    return done, (json.loads(done.out) if done.code in (0, 3) else None)


@case("a service proves its own machine, and what it is not is found out")  # K-13
def _(place):
    with proving(place) as (served, device):
        done, shown = shown_service(served)
        assert done.code == 3 and shown["reason"] == "unexpected" and "nothing says" in shown["detail"], done
        machine = shown["machine"]
        home = {**place.env, "LETHE_HOME": str(served.home)}
        there = json.loads(place.good("attest", "show", "--json", "--tpm", device.tcti, env=home).out)
        assert there["tpm2_key"] == machine and (served.home / "attest.key").exists(), there
        done, shown = shown_service(served, "--machine", machine)
        assert done.code == 0 and shown["verified"] is True and shown["service"].startswith("lethe-kms:"), done
        done, shown = shown_service(served, "--machine", "00" * 34)
        assert done.code == 3 and "another machine" in shown["detail"], done
        reference = place.work / "service.json"
        place.good("attest", "reference", "show", "--pcrs", "0,7", "-o", reference, "--tpm", device.tcti)
        done, shown = shown_service(served, "--machine", machine, "--reference", reference)
        assert done.code == 0, done
        device.extend(7, b"another kernel")
        done, shown = shown_service(served, "--machine", machine, "--reference", reference)
        assert done.code == 3 and "PCR 7" in shown["detail"] and shown["verified"] is False, done
        for nonce in (15, 65):
            refused = served.place.lethe("kms", "write", "lethe/attest/service", *served.words(),
                                         f"nonce={base64.b64encode(bytes(nonce)).decode()}")
            assert refused.code == 2 and "16 to 64" in refused.err, refused
        first, second = (json.loads(served.place.good(
            "kms", "write", "lethe/attest/service", *served.words(), "--json",
            f"nonce={base64.b64encode(bytes([n]) * 32).decode()}").out)["data"]["evidence"] for n in (1, 2))
        assert json.loads(base64.b64decode(first))["quote"] != json.loads(base64.b64decode(second))["quote"]


@case("keys are asked for only of a service that has proven its machine")  # K-13
def _(place):
    with proving(place) as (served, device):
        model = with_model(place, served, *served.words())
        machine = shown_service(served)[1]["machine"]
        reference = place.work / "service.json"
        place.good("attest", "reference", "show", "--pcrs", "0,7", "-o", reference, "--tpm", device.tcti)
        run = ("exec", model, "--", "/bin/cat", "{model}")
        served.configure(service_machine="00" * 34)
        before = len(served.records("key_released"))
        refused = place.lethe(*run)
        assert refused.code == 4 and refused.out == "" and "another machine" in refused.err, refused
        served.configure(service_reference=reference)
        refused = place.lethe(*run)
        assert refused.code == 4 and "nothing says that a TPM" in refused.err, refused
        assert len(served.records("key_released")) == before
        served.configure(service_machine=machine, service_reference=reference)
        assert place.good(*run).out == PLAIN
        device.extend(0, b"other firmware")
        refused = place.lethe(*run)
        assert refused.code == 4 and refused.out == "" and "PCR 0" in refused.err, refused


@case("a service that makes no evidence says so, and who demands it asks for no keys")  # K-13
def _(place):
    with proving(place, "evidence = none") as (served, _):
        model = with_model(place, served, *served.words())
        refused = place.lethe("attest", "service", *served.words())
        assert "makes no evidence" in refused.err, refused
        served.configure(service_machine="00" * 34)
        refused = place.lethe("exec", model, "--", "/bin/cat", "{model}")
        assert refused.code != 0 and refused.out == "" and "makes no evidence" in refused.err, refused


finish()
