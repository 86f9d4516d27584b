"""pool_lending.py: a pool with providers that run, and consumers who may borrow, for scenarios."""
import copy
import signal

from pool_world import ANNA, CONTROL, DATA, NODE, World

OTHER = "spiffe://example.org/tenant/acme/otto"
NODES = [NODE, "spiffe://example.org/node/b"]


class Pool(World):
    """A control plane, providers, and anna, who may borrow."""

    def __init__(self, place, providers=1):
        super().__init__(place)
        data = copy.deepcopy(DATA)
        for node in NODES:
            data["pool"]["providers"][node] = {"tenants": ["acme"], "max_bytes": 1 << 30}
        data["pool"]["consumers"][OTHER] = {"max_bytes": 1 << 30}
        self.data(data)
        self.issue("anna", ANNA)
        self.issue("otto", OTHER)
        self.providers = []
        self.start()
        for number in range(providers):
            self.issue(f"node{number}", NODES[number])
            self.provide(number)

    def provide(self, number):
        provider = self.place.start("pool", "provide", "--memory", "128MiB", "--listen", "127.0.0.1:0", "--json",
                                    "--control", self.address, "--control-id", CONTROL,
                                    *self.credentials(f"node{number}"))
        line = provider.stdout.readline()
        assert line, provider.stderr.read().decode()
        self.providers.append(provider)

    def kill(self, number):
        self.providers[number].kill()
        self.providers[number].wait()

    def put(self, path, *words, who="anna", handle="handle"):
        return self.ask("put", path, "-o", self.place.work / handle, *words, who=who)

    def get(self, *words, who="anna", handle="handle", output="out"):
        return self.ask("get", self.place.work / handle, "-o", self.place.work / output, *words, who=who)

    def __exit__(self, *why):
        for provider in self.providers:
            if provider.poll() is None:
                provider.send_signal(signal.SIGTERM)
                provider.wait(timeout=30)
            provider.stdout.close()
            provider.stderr.close()
        super().__exit__(*why)
