"""The memory pool under faults: processes killed at any moment, networks that are cut, in one direction too, or
slow. Whatever happens, no byte that comes back is another than what was stored, and every lease ends."""
import json
import signal
import time

from kms_processes import occurrences
from pool_machines import DOMAIN, Machines, until
from scenario import case, finish

TTL_S = 4  # of churn's leases


def leases(world, *states):
    return [lease for lease in world.status()["leases"] if not states or lease["state"] in states]


def all_is_free(world):
    return all(each["used"] == 0 and each["wiping"] == 0 and each["free"] > 0 for each in world.status()["providers"])


def pool_of(world, providers=2, **named):
    world.control(**named)
    return [world.provider(f"p{number}") for number in range(1, providers + 1)]


@case("a provider killed under writes loses nothing that has a second copy")  # P-13
def _(place):
    with Machines(place) as world:
        first, _ = pool_of(world)
        churn = world.churn(2, 4)
        time.sleep(1.5)
        first.kill()
        told = world.churned(churn)
        assert told["operations"] > 100, told
        assert told["lost"] == told["refused_at_end"] == 0, told


@case("without a copy, what a provider had is lost when it was killed, and said to be")  # P-7
def _(place):
    with Machines(place) as world:
        only, = pool_of(world, 1)
        churn = world.churn(1, 4)
        time.sleep(1)
        only.restart()
        told = world.churned(churn)
        assert told["lost"] > 0 and told["wrong"] == 0, told
        until(lambda: all_is_free(world), lambda: world.status())


@case("the control plane killed and started again disturbs nobody")  # P-14
def _(place):
    with Machines(place) as world:
        pool_of(world)
        control = world.parts[0]
        churn = world.churn(2, 5)
        time.sleep(1)
        control.kill()
        time.sleep(1.5)
        control.start()
        told = world.churned(churn)
        assert told["lost"] == told["unavailable"] == told["refused"] == 0, told
        until(lambda: all_is_free(world), lambda: world.status())


@case("a consumer that was killed leaves memory that is wiped when its time has run out")  # P-8
def _(place):
    with Machines(place) as world:
        pool_of(world, 1)
        churn = world.churn(1, 60)
        time.sleep(1)
        churn.kill()
        churn.communicate()
        until(lambda: leases(world, "frozen"), lambda: world.status())
        until(lambda: all_is_free(world), lambda: world.status(), TTL_S + 15)


def cut_for(world, seconds, *who, **how):
    world.cut(*who, **how)
    time.sleep(seconds)
    world.heal()


@case("networks cut between consumer and provider, in both directions or one, change no byte")  # P-9
def _(place):
    with Machines(place) as world:
        pool_of(world, 1)
        churn = world.churn(1, 8, ttl_s=12)
        time.sleep(0.5)
        cut_for(world, 1.5, "consumer", "p1")
        time.sleep(0.5)
        cut_for(world, 1.5, "consumer", "p1", both=False)
        time.sleep(0.5)
        cut_for(world, 1.5, "p1", "consumer", both=False)
        told = world.churned(churn)
        assert told["wrong"] == told["lost"] == told["refused_at_end"] == 0, told


@case("a network cut for longer than a lease ends the lease; nothing wrong comes back")  # P-9
def _(place):
    with Machines(place) as world:
        pool_of(world, 1)
        churn = world.churn(1, TTL_S + 8)
        time.sleep(0.5)
        cut_for(world, TTL_S + 3, "consumer", "p1")
        told = world.churned(churn)
        assert told["lost"] > 0 and told["wrong"] == 0, told
        until(lambda: all_is_free(world), lambda: world.status())


@case("a provider out of the control plane's reach gets nothing new, and goes on serving")  # P-14
def _(place):
    with Machines(place) as world:
        pool_of(world)
        churn = world.churn(2, 9)
        world.cut("control", "p1")
        until(lambda: "unreachable" in [each["state"] for each in world.status()["providers"]], lambda: world.status())
        told = world.churned(churn)
        assert told["lost"] == told["wrong"] == 0, told
        world.heal()
        until(lambda: [each["state"] for each in world.status()["providers"]] == ["joined", "joined"],
              lambda: world.status())
        until(lambda: all_is_free(world), lambda: world.status(), TTL_S + 15)


@case("a slow network is slow, and no more")
def _(place):
    with Machines(place) as world:
        pool_of(world, 1)
        world.slow("p1", "20mbit")
        told = world.churned(world.churn(1, 3))
        assert told["operations"] > 10 and told["lost"] == told["wrong"] == told["refused_at_end"] == 0, told


@case("a revoked consumer is cut off at once, and its memory is wiped")  # P-10
def _(place):
    with Machines(place) as world:
        pool_of(world)
        churn = world.churn(2, 4)
        other = world.churn(1, 4, "other")
        time.sleep(1)
        done = world.operate("revoke", f"{DOMAIN}/tenant/acme/consumer", "--reason", "a laptop was stolen")
        assert done.returncode == 0, done
        assert not [lease for lease in leases(world, "granted", "active", "frozen") if "consumer" in lease["consumer"]]
        told, untouched = world.churned(churn), world.churned(other)
        assert told["refused"] > 0 and told["wrong"] == 0, told
        assert untouched["refused"] == untouched["lost"] == untouched["wrong"] == 0, untouched
        world.home("consumer")
        refused = world.lethe("consumer", "pool", "put", world.authority.ca, "-o", "handle", *world.who())
        assert refused.returncode == 4, refused


@case("a lease that is force-stopped is gone for its consumer, and wiped when the command returns")  # P-10
def _(place):
    with Machines(place) as world:
        pool_of(world, 1)
        churn = world.churn(1, 4)
        lease, = leases(world)
        done = world.operate("force-stop", lease["lease"], "--reason", "test")
        assert done.returncode == 0, done
        assert all_is_free(world), world.status()
        assert world.churned(churn)["lost"] > 0


MARKER = b"a sentence that no provider may ever have in its memory"


@case("a file is put, got back, and released; a provider never has a word of it, and keeps nothing")  # P-12, P-6
def _(place):
    with Machines(place) as world:
        provider, other = pool_of(world)
        document = world.folder / "document"
        document.write_bytes((MARKER + b"\n") * 20000)
        world.home("consumer")
        who = world.who()
        put = world.lethe("consumer", "pool", "put", document, "--ttl", "5m", "--copies", "2", "-o", "handle", *who)
        assert put.returncode == 0, put
        assert (world.folder / "handle").stat().st_mode & 0o777 == 0o600
        for part in (provider, other):
            pid = part.process.pid
            assert occurrences(pid, b"spiffe://pool.test") > 0, "the search finds nothing at all"
            assert occurrences(pid, MARKER) == 0
        got = world.lethe("consumer", "pool", "get", "handle", "-o", "back", *who)
        assert got.returncode == 0, got
        assert (world.folder / "back").read_bytes() == document.read_bytes()
        stolen = world.lethe("other", "pool", "get", "handle", "-o", "stolen", *world.who("other"))
        assert stolen.returncode == 5 and not (world.folder / "stolen").exists(), stolen
        released = world.lethe("consumer", "pool", "release", "handle", *who)
        assert released.returncode == 0, released
        assert all_is_free(world), world.status()
        gone = world.lethe("consumer", "pool", "get", "handle", "-o", "again", *who)
        assert gone.returncode != 0 and not (world.folder / "again").exists(), gone


@case("a drained provider gets nothing new and keeps what it has")
def _(place):
    with Machines(place) as world:
        pool_of(world)
        churn = world.churn(1, 3)
        lease, = leases(world)
        assert world.operate("drain", lease["provider"]).returncode == 0
        second = world.churn(1, 1, "other")
        assert {each["provider"] for each in leases(world, "active")} != {lease["provider"]}
        for each in (churn, second):
            told = world.churned(each)
            assert told["lost"] == told["refused"] == told["wrong"] == 0, told


@case("killed one after the other for a while, all of them, and every byte is right or refused")
def _(place):
    with Machines(place) as world:
        parts = [*pool_of(world, 3), world.parts[0]]
        churn = world.churn(2, 14, kibibytes=256)
        for round_ in range(2):
            for part in parts:
                time.sleep(1)
                part.kill(signal.SIGKILL if round_ else signal.SIGTERM)
                part.start()
        told = world.churned(churn)
        assert told["operations"] > 50 and told["wrong"] == 0, told


if __name__ == "__main__":
    finish()
