#!/usr/bin/python3
"""Encrypting a model anew after a compromise, interrupted and gone on with: K-3, K-8, K-9, E-8."""
import json
import random
import shutil
import signal
import time

from scenario import TIMEOUT_S, case, finish, opened, version_of

KEY = "default.a.hot"


def bytes_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@case("reencrypt: new data keys, new ciphertext, the same weights, on record")  # K-9
def _(place):
    model = place.with_model(place.write("a/1.bin", b"a" * 3000), place.write("a/2.bin", b"b" * 70000), name="m")
    plain, before = opened(place, model), bytes_of(model)
    key = json.loads((model / "manifest.json").read_text())["shards"][0]["key"]
    assert "2 of 2 shards" in place.good("reencrypt", "--check", model).out
    outcome = place.good("reencrypt", model)
    assert "release 2, 2 shards" in outcome.out, outcome
    assert "key minimum" in outcome.err and "stays readable" in outcome.err, outcome
    after = bytes_of(model)
    assert before.keys() == after.keys()
    for name in ("shards/0000.tink", "shards/0001.tink"):
        assert not set(before[name][at:at + 16] for at in range(1, 40)) & {after[name][1:17]}
        assert before[name][-16:] != after[name][-16:]
    wrapped = [{shard["wrapped_key"] for shard in json.loads(tree["manifest.json"])["shards"]} for tree in (before, after)]
    assert not wrapped[0] & wrapped[1]
    assert opened(place, model) == plain
    place.good("verify", model)
    (record,) = place.records("model_reencrypted")
    assert (record["release"], record["shards"], record["bytes"]) == (2, 2, 73000)
    released = [event for event in place.records("key_released") if event["purpose"] == "reencrypt"]
    used = [event for event in place.records("key_used") if event["purpose"] == "reencrypt"]
    assert sorted(event["shards"] for event in released) == ["0000", "0001"] and sum(event["count"] for event in used) == 2
    assert all(event["key"] == key for event in released + used)
    assert sorted(path.name for path in place.work.iterdir()) == ["a", "m"]
    place.good("audit", "verify")


@case("after a compromise: revoke, rotate, reencrypt; the old copy is refused, and the new model runs")  # K-9
def _(place):
    model = place.with_model(place.write("a.bin", b"a" * 3000))
    plain = opened(place, model)
    kept = place.root / "kept"
    shutil.copytree(model, kept)
    place.good("key", "revoke", KEY, "--reason", "a data key was exported")
    assert "was revoked" in place.refused(4, "reencrypt", model).err  # nothing newer to wrap under
    place.good("key", "rotate", KEY)
    place.good("reencrypt", model)
    assert version_of(model) == (2, {2})
    assert opened(place, model) == plain
    assert "0 of 1 shards still need" in place.good("rewrap", "--check", model).out
    place.refused(4, "decrypt", kept, "-o", place.root / "x")
    place.good("key", "minimum", "default.a", "--set", "2")
    assert "below the minimum" in place.refused(4, "reencrypt", kept).err
    assert "--set 3" in place.good("reencrypt", model).err
    assert sorted(path.name for path in place.work.iterdir()) == ["a.bin", "m"]


@case("reencrypt is refused for a destroyed key, by another home, and below the minimum")  # K-3, E-8
def _(place):
    model = place.with_model(place.write("a.bin", b"a" * 3000))
    before = bytes_of(place.work)
    home = place.env.get("LETHE_HOME")
    place.env["LETHE_HOME"] = str(place.root / "other")
    place.good("init")
    place.refused(3, "reencrypt", model)
    place.refused(3, "reencrypt", "--check", model)
    place.env.pop("LETHE_HOME") if home is None else place.env.update(LETHE_HOME=home)
    place.good("key", "minimum", "default.a", "--set", "5")
    place.refused(4, "reencrypt", model)
    place.good("key", "destroy", KEY, "--yes")
    assert "was destroyed" in place.refused(4, "reencrypt", model).err
    assert bytes_of(place.work) == before
    place.refused(1, "reencrypt", place.root / "nowhere")
    place.refused(2, "reencrypt", "--json", model)
    place.refused(2, "reencrypt", "--check", "--restart", model)


LARGE, COUNT = 4 << 20, 24


def with_large_model(place):
    noise = random.Random(5)
    for number in range(COUNT):
        place.write(f"a/{number:02}.bin", noise.randbytes(LARGE))
    return place.with_model(place.work / "a", name="m")


def unfinished(place):
    return place.work / ".m.lethe-unfinished"


def stop_in_the_middle(place, model, number, is_time):
    """Sends a signal when is_time() says so; the machine may be too fast, or too slow, once."""
    for _ in range(5):
        process = place.start("reencrypt", "--threads", "1", model)
        while process.poll() is None and not is_time():
            time.sleep(0.0005)
        process.send_signal(number)
        _, err = process.communicate(timeout=TIMEOUT_S)
        if process.returncode != 0 and unfinished(place).exists():
            return process.returncode, err.decode()
    raise AssertionError("it was never stopped in the middle")


def shards_begun(place):
    folder = unfinished(place) / "model" / "shards"
    return len(list(folder.iterdir())) if folder.exists() else 0


@case("reencrypt interrupted: the old model runs on, and the same command goes on from there")  # K-9
def _(place):
    model = with_large_model(place)
    before = bytes_of(model)
    code, err = stop_in_the_middle(place, model, signal.SIGINT, lambda: shards_begun(place) > 5)
    assert code == 1 and "interrupted" in err and "goes on from there" in err, err
    now = bytes_of(model)
    if now != before:  # a run before this one was too fast
        before = now
    place.good("verify", model)
    status = json.loads(place.good("reencrypt", "--check", "--json", model).out)
    assert status["unfinished"] and 0 < status["left_shards"] < COUNT, status
    assert status["left_bytes"] == status["left_shards"] * LARGE
    done = COUNT - status["left_shards"]
    assert len(list((unfinished(place) / "model" / "shards").iterdir())) == done
    outcome = place.good("reencrypt", model)
    assert f"{done} shards were taken over" in outcome.err, outcome
    assert not unfinished(place).exists()
    place.good("verify", model)
    assert bytes_of(model)["manifest.json"] != before["manifest.json"]
    assert opened(place, model) == bytes_of(place.work / "a")


@case("reencrypt killed: goes on; what was changed beside it is refused, and --restart begins anew")  # K-9
def _(place):
    model = with_large_model(place)
    state = unfinished(place) / "state"

    def some_are_recorded():
        try:
            return state.stat().st_size > 1000
        except FileNotFoundError:
            return False
    code, _ = stop_in_the_middle(place, model, signal.SIGKILL, some_are_recorded)
    assert code == -signal.SIGKILL
    before = bytes_of(model)
    place.good("verify", model)
    shard = next(path for path in sorted((unfinished(place) / "model" / "shards").iterdir()))
    content = shard.read_bytes()
    shard.write_bytes(content[:5000] + bytes([content[5000] ^ 1]) + content[5001:])
    outcome = place.refused(3, "reencrypt", model)
    assert "what an earlier run left" in outcome.err and "--restart" in outcome.err, outcome
    assert any(event["purpose"] == "reencrypt" for event in place.records("model_rejected"))
    assert bytes_of(model) == before
    shard.write_bytes(content)
    text = state.read_bytes()
    state.write_bytes(text[:-5] + bytes([text[-5] ^ 1]) + text[-4:])
    place.refused(3, "reencrypt", model)
    place.refused(3, "reencrypt", "--check", model)
    state.write_bytes(text)
    keep = place.root / "keep"
    shutil.copytree(unfinished(place), keep)
    assert "were taken over" in place.good("reencrypt", model).err
    place.good("verify", model)

    shutil.copytree(keep, unfinished(place))  # put back: it is of a model that is no more
    outcome = place.good("reencrypt", model)
    assert "the model was changed since" in outcome.err and "taken over" not in outcome.err, outcome
    assert len(place.records("model_reencrypted")) == json.loads((model / "manifest.json").read_text())["release"] - 1
    assert opened(place, model) == bytes_of(place.work / "a")
    assert sorted(path.name for path in place.work.iterdir()) == ["a", "m"]


@case("a key that is rotated or revoked in between: its shards are made anew")  # K-8, K-9
def _(place):
    model = with_large_model(place)
    for command, message in ((("rotate",), "rotated"), (("revoke",), "rotated")):
        key = "default.a.hot"
        stop_in_the_middle(place, model, signal.SIGINT, lambda: shards_begun(place) > 5)
        release, (version,) = version_of(model)
        place.good("key", *command, key)
        if command == ("revoke",):
            place.refused(4, "reencrypt", model)
            assert unfinished(place).exists()
            place.good("key", "rotate", key)
        assert f"{COUNT} of {COUNT} shards still need" in place.good("rewrap", "--check", model).out
        outcome = place.good("reencrypt", model)
        assert message in outcome.err and "taken over" not in outcome.err, outcome
        assert version_of(model) == (release + 1, {version + 1})
    assert opened(place, model) == bytes_of(place.work / "a")


@case("two at once: one works, the other is told")  # K-9
def _(place):
    model = with_large_model(place)
    running = [place.start("reencrypt", model) for _ in range(2)]
    codes = []
    for process in running:
        _, err = process.communicate(timeout=TIMEOUT_S)
        codes.append(process.returncode)
        assert process.returncode in (0, 1, 5), err
    assert 0 in codes
    place.good("verify", model)
    assert version_of(model)[0] == 1 + codes.count(0)
    assert sorted(path.name for path in place.work.iterdir()) == ["a", "m"]


finish()
