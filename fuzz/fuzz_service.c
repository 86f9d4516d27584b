/* Requests, as a door that was taken over may send them, through the whole of a service: every one
 * is answered once, in JSON or as the route says, and the token that was shown is in no answer but
 * those about tokens.
 *
 * The first byte says who asks (an operator, a token, nobody) and how; then path, query and body,
 * with a newline between them; an identity with a certificate asks with bit 4, and 44 times N in
 * the body becomes a nonce that it was given. With the highest bit the rest is frames as they are.
 * A service lives for many inputs, as making one takes long; then it gets a new home. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "crypto/crypto.h"
#include "crypto/x509.h"
#include "fuzz.h"
#include "service/attested.h"
#include "service/call.h"
#include "service/core.h"
#include "service/identities.h"
#include "service/tokens.h"

#define INPUTS_OF_A_HOME 500u
#define BODY_MAX 65536u

static struct {
    char directory[64], store[96], audit[96], lock[96], root[96];
    struct service *service;
    struct core_peer peers[2]; /* CORE_NETWORK, CORE_ADMIN */
    int ends[2];
    struct lethe_secret *token;
    struct buffer chain; /* of the identity, as net/tls.h gives it */
    unsigned inputs;
} world;

/* ---- a service ------------------------------------------------------------------------------- */

static void make_peer(enum core_origin origin)
{
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    world.peers[origin].origin = origin;
    strcpy(world.peers[origin].admin_name, "uid:0");
    wire_init(&world.peers[origin].wire, ends[0]);
    world.ends[origin] = ends[1];
}

enum { ANYBODY = 1, IDENTITY = 2 }; /* connections */

static void connect_as(uint64_t connection, const struct buffer *chain)
{
    struct wire_frame frame = {.kind = WIRE_CONNECTION, .connection = connection};
    frame.parts[0] = (struct wire_part){(const uint8_t *)"192.0.2.7", 9};
    if (chain->size_bytes > 0)
        frame.parts[1] = (struct wire_part){(const uint8_t *)chain->bytes, chain->size_bytes};
    wire_append(&world.peers[CORE_NETWORK].wire.in, &frame);
}

static void introduce(void)
{
    static const struct buffer none;
    struct core_peer *peer = &world.peers[CORE_NETWORK];
    connect_as(ANYBODY, &none);
    connect_as(IDENTITY, &world.chain);
    REQUIRE(core_handle(world.service, peer, NULL) == LETHE_OK);
    guarded_wipe(&peer->wire.in);
    peer->wire.in_done = 0;
}

static void remove_peer(enum core_origin origin)
{
    core_forget(world.service, &world.peers[origin]);
    wire_clear(&world.peers[origin].wire);
    close(world.ends[origin]);
}

static void end_world(void)
{
    if (world.service == NULL)
        return;
    remove_peer(CORE_NETWORK);
    remove_peer(CORE_ADMIN);
    service_free(world.service);
    lethe_secret_free(world.token);
    buffer_clear(&world.chain);
    (void)!file_remove_tree(AT_FDCWD, world.directory, NULL);
    memset(&world, 0, sizeof world);
}

static void make_token(void)
{
    struct token_entry entry = {.policy_count = 1};
    strcpy(entry.policies[0], "root");
    lethe_secret_free(world.token);
    world.token = NULL;
    REQUIRE(tokens_create(world.service->tokens, &entry, &world.token, NULL) == LETHE_OK);
}

/* Who wants keys: with the policy "root", in a tenant. */
static void make_identity(void)
{
    struct identity_entry entry = {.policy_count = 1, .certificate_ttl_s = IDENTITY_TTL_S};
    const struct x509_subject nobody = {.common_name = "x"};
    static const char id[] = "spiffe://example.org/tenant/acme/model-loader-sa";
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = NULL;
    CLEANUP(sign_pair_free) struct sign_pair *pair = NULL;
    CLEANUP(buffer_clear) struct buffer request = {0}, der = {0};
    REQUIRE(spiffe_read(id, strlen(id), &entry.id, NULL) == LETHE_OK);
    strcpy(entry.policies[0], "root");
    REQUIRE(identities_put(world.service->identities, &entry, NULL) == LETHE_OK);
    REQUIRE(sign_generate(SIGNATURE_ECDSA_P256, &secret, NULL) == LETHE_OK);
    REQUIRE(sign_pair_create(SIGNATURE_ECDSA_P256, secret, &pair, NULL) == LETHE_OK);
    REQUIRE(x509_make_request(&nobody, pair, &request, NULL) == LETHE_OK);
    REQUIRE(identities_issue(world.service->identities, id, request.bytes, request.size_bytes, 0,
                             &der, NULL) == LETHE_OK);
    buffer_prefixed(&world.chain, der.bytes, der.size_bytes);
}

static void name_places(void)
{
    const char *above = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(world.directory, sizeof world.directory, "%s/lethe-fuzz-XXXXXX", above);
    REQUIRE(mkdtemp(world.directory) != NULL);
    snprintf(world.store, sizeof world.store, "%s/store.db", world.directory);
    snprintf(world.audit, sizeof world.audit, "%s/audit", world.directory);
    snprintf(world.lock, sizeof world.lock, "%s/lock", world.directory);
    snprintf(world.root, sizeof world.root, "%s/root.key", world.directory);
}

static void make_world(void)
{
    struct root_spec root = {.kind = ROOT_FILE, .passphrase_fd = -1};
    struct lethe_error err = {0};
    name_places();
    const struct service_options options = {
        .keeper = {.store_path = world.store,
                   .audit_directory = world.audit,
                   .lock_path = world.lock,
                   .node = "fuzz",
                   .actor = "uid:0",
                   .passphrase_fd = -1,
                   .audit_limits = {.identity_bytes = AUDIT_NO_LIMIT}},
        .trust_domain = "example.org",
        .upsert = true};
    snprintf(root.where, sizeof root.where, "%s", world.root);
    REQUIRE(keeper_create(&options.keeper, &root, &err) == LETHE_OK);
    REQUIRE(service_create(&options, &world.service, &err) == LETHE_OK);
    REQUIRE(service_unseal(world.service, NULL, &err) == LETHE_OK);
    REQUIRE(service_init(world.service, &world.token, &err) == LETHE_OK);
    make_identity();
    make_peer(CORE_NETWORK);
    make_peer(CORE_ADMIN);
    introduce();
}

/* The texts of the options are in `world`, and live as long as the service. */
static void renew_world(void)
{
    static bool started;
    if (!started) {
        REQUIRE(crypto_start(NULL) == LETHE_OK);
        atexit(end_world);
        started = true;
    }
    if (world.inputs++ % INPUTS_OF_A_HOME == 0) {
        end_world();
        world.inputs = 1;
        make_world();
    }
    REQUIRE(service_unseal(world.service, NULL, NULL) == LETHE_OK);
    if (tokens_find(world.service->tokens, lethe_secret_bytes(world.token),
                    lethe_secret_size(world.token), UINT32_MAX) == NULL)
        make_token();
}

/* ---- requests -------------------------------------------------------------------------------- */

static struct wire_part next_part(const uint8_t **at, const uint8_t *end)
{
    const uint8_t *newline = memchr(*at, '\n', (size_t)(end - *at));
    struct wire_part part = {*at, (size_t)((newline == NULL ? end : newline) - *at)};
    *at = newline == NULL ? end : newline + 1;
    return part;
}

/* A leak checker does not look into guarded memory, where a service that lives on keeps what leads
 * to the rest of it. */
const char *__lsan_default_options(void);
const char *__lsan_default_options(void)
{
    return "detect_leaks=0";
}

static bool tells_token; /* tokens tell their holder who they are */

static void check_answer(const struct wire_frame *frame)
{
    const struct wire_part *type = &frame->parts[0];
    const struct wire_part *body = &frame->parts[1];
    json_t *json = NULL;
    FUZZ_PROPERTY(frame->code >= 100 && frame->code <= 599);
    bool is_json = type->size_bytes == 16 && memcmp(type->at, "application/json", 16) == 0;
    if (is_json)
        FUZZ_PROPERTY(json_parse((const char *)body->at, body->size_bytes, &json, NULL) ==
                          LETHE_OK ||
                      memmem(body->at, body->size_bytes, "\\u0000", 6) != NULL);
    json_decref(json);
    FUZZ_PROPERTY(tells_token || body->size_bytes == 0 ||
                  memmem(body->at, body->size_bytes, lethe_secret_bytes(world.token),
                         lethe_secret_size(world.token)) == NULL);
}

/* How many answers there are; they go. */
static unsigned take_answers(struct core_peer *peer)
{
    struct wire_frame frame;
    size_t frame_bytes;
    unsigned count = 0;
    const uint8_t *at = peer->wire.out.bytes;
    for (size_t left = peer->wire.out.size_bytes; left > 0;
         left -= frame_bytes, at += frame_bytes) {
        FUZZ_PROPERTY(wire_parse(at, left, &frame, &frame_bytes) == LETHE_OK);
        if (frame.kind != WIRE_ANSWER)
            continue;
        check_answer(&frame);
        count++;
    }
    guarded_wipe(&peer->wire.out);
    guarded_wipe(&peer->wire.in);
    peer->wire.in_done = 0;
    return count;
}

#define NONCE_LENGTH 44u

/* In place of each row of N: nobody can guess one. */
static void fill_in_nonce(uint8_t *body, size_t size_bytes)
{
    static const char marks[] = "NNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNN";
    uint8_t nonce[CHALLENGE_BYTES];
    uint8_t *at = size_bytes == 0 ? NULL : memmem(body, size_bytes, marks, NONCE_LENGTH);
    if (at == NULL || world.service->attested == NULL)
        return;
    REQUIRE(challenges_draw(world.service->attested,
                            "spiffe://example.org/tenant/acme/model-loader-sa",
                            clock_wall_ns(&clock_system) / 1000000000u, nonce, NULL) == LETHE_OK);
    base64_write(nonce, sizeof nonce, (char *)at);
}

static void try_request(uint8_t how, const uint8_t *data, size_t size)
{
    static const uint16_t methods[] = {CALL_GET, CALL_POST, CALL_DELETE, CALL_LIST};
    enum core_origin origin = (how & 4) != 0 ? CORE_ADMIN : CORE_NETWORK;
    bool is_identity = (how & 16) != 0;
    bool has_token = (how & 8) != 0 && !is_identity;
    struct core_peer *peer = &world.peers[origin];
    struct wire_frame frame = {.kind = WIRE_REQUEST,
                               .code = methods[how & 3],
                               .connection = is_identity ? IDENTITY : ANYBODY};
    frame.flags = has_token ? WIRE_HAS_TOKEN : 0;
    const uint8_t *end = data + size;
    if (has_token)
        frame.parts[0] =
            (struct wire_part){lethe_secret_bytes(world.token), lethe_secret_size(world.token)};
    frame.parts[1] = next_part(&data, end);
    frame.parts[2] = next_part(&data, end);
    CLEANUP(guarded_clear) struct guarded body = {0};
    guarded_append(&body, data, (size_t)(end - data));
    if (is_identity)
        fill_in_nonce(body.bytes, body.size_bytes);
    frame.parts[3] = (struct wire_part){body.bytes, body.size_bytes};
    tells_token = memmem(frame.parts[1].at, frame.parts[1].size_bytes, "auth/", 5) != NULL;
    wire_append(&peer->wire.in, &frame);
    FUZZ_PROPERTY(core_handle(world.service, peer, NULL) == LETHE_OK);
    FUZZ_PROPERTY(take_answers(peer) == 1);
}

static void try_frames(const uint8_t *data, size_t size)
{
    struct core_peer *peer = &world.peers[CORE_NETWORK];
    tells_token = true;
    guarded_append(&peer->wire.in, data, size);
    lethe_result result = core_handle(world.service, peer, NULL);
    (void)take_answers(peer);
    if (result == LETHE_OK)
        return;
    remove_peer(CORE_NETWORK);
    make_peer(CORE_NETWORK);
    introduce();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > BODY_MAX)
        return 0;
    renew_world();
    if ((data[0] & 0x80) != 0)
        try_frames(data + 1, size - 1);
    else
        try_request(data[0], data + 1, size - 1);
    return 0;
}
