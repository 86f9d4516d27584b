// with_node_vault.cjs ADDRESS CA_FILE TOKEN_FILE: calls the key service with npm's node-vault, unmodified.
// Prints one line for each check ("ok NAME" or "not ok NAME"), and why it failed.
"use strict";
const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { createRequire } = require("node:module");

const [address, caFile, tokenFile] = process.argv.slice(2);
const clients = process.env.LETHE_TEST_CLIENTS;
const vault = createRequire(path.join(clients, "package.json"))("node-vault");
const ca = fs.readFileSync(caFile);
const token = fs.readFileSync(tokenFile, "utf8").trim();

// Each client comes from an address of its own: who shows a wrong token is not heard for a while, and nobody from
// there.
let clientCount = 0;
function open(options) {
    clientCount += 1;
    const agentOptions = { localAddress: `127.2.0.${clientCount}` };
    const { tls, ...rest } = options;
    return vault({ endpoint: address, requestOptions: { ca, agentOptions, ...tls }, ...rest });
}
const client = open({ token });
const base64 = (text) => Buffer.from(text).toString("base64");
const checks = [];
const check = (name, run) => checks.push([name, run]);

// It must fail with this status; the message is the service's first text, or the status where there is none.
async function refused(status, promise, text) {
    let answer;
    try {
        answer = await promise;
    } catch (error) {
        assert.equal(error.response?.statusCode, status, String(error));
        assert.ok(error.message.length > 0);
        if (text !== undefined) assert.ok(error.message.includes(text), error.message);
        return;
    }
    assert.fail(`expected ${status}, got ${JSON.stringify(answer)}`);
}

check("status and health, without a token", async () => {
    const stranger = open({ token: "" });
    const status = await stranger.status();
    assert.equal(status.sealed, false);
    assert.equal((await stranger.health()).initialized, true);
    assert.equal((await stranger.initialized()).initialized, true);
    await refused(403, stranger.transitReadKey({ name: "any" }));
    await refused(403, open({ token: "lethe.nonsense" }).mounts());
});

check("keys: created, read, listed, deleted", async () => {
    await refused(404, client.transitListKeys());
    const made = await client.transitCreateKey({ name: "n-one", type: "aes256-gcm96", exportable: "true" });
    assert.equal(made.data.exportable, true);
    assert.equal((await client.transitReadKey({ name: "n-one" })).data.latest_version, 1);
    await refused(404, client.transitReadKey({ name: "absent" }), "Status 404");
    assert.deepEqual((await client.transitListKeys()).data.keys, ["n-one"]);
    await refused(400, client.transitCreateKey({ name: "n-rsa", type: "rsa-2048" }));
    await client.transitCreateKey({ name: "n-gone" });
    await refused(400, client.transitDeleteKey({ name: "n-gone" }));
    await client.write("transit/keys/n-gone/config", { deletion_allowed: "true", min_decryption_version: "1" });
    await client.transitDeleteKey({ name: "n-gone" });
    await refused(404, client.transitReadKey({ name: "n-gone" }));
});

check("data: encrypted, opened, rewrapped", async () => {
    await client.transitCreateKey({ name: "n-data" });
    const { data } = await client.encryptData({ name: "n-data", plaintext: base64("of node") });
    assert.match(data.ciphertext, /^vault:v1:/);
    const opened = await client.decryptData({ name: "n-data", ciphertext: data.ciphertext });
    assert.equal(Buffer.from(opened.data.plaintext, "base64").toString(), "of node");
    await client.write("transit/keys/n-data/rotate");
    const moved = await client.rewrapData({ name: "n-data", ciphertext: data.ciphertext, key_version: "2" });
    assert.match(moved.data.ciphertext, /^vault:v2:/);
    await refused(400, client.decryptData({ name: "n-data", ciphertext: "vault:v1:AAAA" }));
    await refused(400, client.encryptData({ name: "absent", plaintext: "" }), "encryption key not found");
    await refused(400, client.encryptData({ name: "n-data", plaintext: "!" }));
});

check("data: batches", async () => {
    const batch_input = ["a", "b"].map((text, n) => ({ plaintext: base64(text), reference: `r${n}` }));
    const { data } = await client.encryptData({ name: "n-data", batch_input });
    assert.deepEqual(data.batch_results.map((row) => row.reference), ["r0", "r1"]);
    const opened = await client.decryptData({
        name: "n-data", batch_input: data.batch_results.map(({ ciphertext }) => ({ ciphertext })) });
    assert.deepEqual(opened.data.batch_results.map((row) => row.plaintext), ["a", "b"].map(base64));
    await refused(400, client.decryptData({ name: "n-data", batch_input: [{ ciphertext: "x" }] }));
});

check("signatures, HMACs, hashes, random bytes", async () => {
    for (const type of ["ed25519", "ecdsa-p256", "ecdsa-p384"]) {
        const name = `n-${type}`;
        await client.transitCreateKey({ name, type });
        const { data } = await client.write(`transit/sign/${name}`, { input: base64("text") });
        const right = await client.write(`transit/verify/${name}`, { input: base64("text"), signature: data.signature });
        assert.equal(right.data.valid, true);
        const wrong = await client.write(`transit/verify/${name}`, { input: base64("other"), signature: data.signature });
        assert.equal(wrong.data.valid, false);
    }
    const { data } = await client.write("transit/hmac/n-data/sha2-512", { input: base64("text") });
    assert.match(data.hmac, /^vault:v2:/);
    assert.equal((await client.write("transit/hash", { input: base64("") })).data.sum,
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert.equal((await client.write("transit/random/5", { format: "hex" })).data.random_bytes.length, 10);
});

check("tokens: created, looked up, renewed, revoked; the client takes over what it is given", async () => {
    const first = await open({ token }).tokenCreate({ policies: ["default"], ttl: "10m", renewable: true });
    const mine = open({ token: first.auth.client_token });
    const self = await mine.tokenLookupSelf();
    assert.ok(self.data.ttl > 0 && self.data.ttl <= 600, JSON.stringify(self));
    assert.equal(self.data.renewable, true);
    const renewed = await mine.tokenRenewSelf({ increment: "20m" });
    assert.equal(renewed.auth.client_token, first.auth.client_token);
    assert.equal(mine.token, first.auth.client_token);
    await mine.tokenRevokeSelf();
    await refused(403, mine.tokenLookupSelf());
});

check("policies: they are written, and decide", async () => {
    await client.addPolicy({ name: "n-pol", rules: 'path "transit/keys/n-data" { capabilities = ["read"] }',
        policy: 'path "transit/keys/n-data" { capabilities = ["read"] }' });
    assert.equal((await client.getPolicy({ name: "n-pol" })).data.name, "n-pol");
    assert.ok((await client.policies()).data.policies.includes("n-pol"));
    const made = await open({ token }).tokenCreate({ policies: ["n-pol"] });
    const mine = open({ token: made.auth.client_token });
    assert.equal((await mine.transitReadKey({ name: "n-data" })).data.name, "n-data");
    await refused(403, mine.transitReadKey({ name: "n-one" }));
    await refused(403, mine.encryptData({ name: "n-data", plaintext: "" }), "permission denied");
    await client.removePolicy({ name: "n-pol" });
    await refused(403, mine.transitReadKey({ name: "n-data" }));
});

// Its certLogin() takes no arguments (with any it fails by itself), so that the service looks for the entry.
check("a certificate's login gives a token, where there is an entry for it", async () => {
    const beside = (name) => fs.readFileSync(path.join(path.dirname(tokenFile), name));
    const tls = { cert: beside("client.pem"), key: beside("client.key") };
    const policy = 'path "transit/keys/n-data" { capabilities = ["read"] }';
    await client.addPolicy({ name: "n-worker", rules: policy, policy });
    await refused(403, open({ token: "", tls }).certLogin());
    await client.write("auth/cert/certs/n-workers",
        { certificate: beside("client-ca.pem").toString(), token_policies: ["n-worker"], token_ttl: 600 });
    await refused(403, open({ token: "" }).certLogin());
    await refused(403, open({ token: "", tls }).write("auth/cert/login", { name: "absent" }));
    const worker = open({ token: "", tls });
    const { auth } = await worker.certLogin();
    assert.ok(auth.client_token && auth.policies.includes("n-worker"), JSON.stringify(auth));
    assert.ok(auth.lease_duration > 0 && auth.lease_duration <= 600);
    assert.equal(worker.token, auth.client_token);
    assert.equal((await worker.transitReadKey({ name: "n-data" })).data.name, "n-data");
    await refused(403, worker.transitReadKey({ name: "n-one" }));
});

check("mounts", async () => {
    assert.equal((await client.mounts())["transit/"].type, "transit");
});

(async () => {
    let failed = 0;
    for (const [name, run] of checks) {
        try {
            await run();
            console.log(`ok ${name}`);
        } catch (error) {
            failed += 1;
            console.log(`not ok ${name}\n${error.stack}`);
        }
    }
    process.exit(failed > 0 ? 1 : 0);
})();
