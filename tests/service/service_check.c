#include "service_check.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "service/call.h"
#include "service/tokens.h"

/* ---- opening --------------------------------------------------------------------------------- */

int service_start(void **state)
{
    struct lethe_error err = {0};
    (void)state;
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 0);
    assert_ok(crypto_start(&err), &err);
    return 0;
}

static void connect_ends(struct core_peer *keeper, enum core_origin origin, struct wire *ours)
{
    int ends[2];
    int size_bytes = 4 << 20;
    assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends));
    for (size_t i = 0; i < 2; i++)
        setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &size_bytes, sizeof size_bytes);
    keeper->origin = origin;
    strcpy(keeper->admin_name, "uid:0");
    wire_init(&keeper->wire, ends[0]);
    wire_init(ours, ends[1]);
}

static void open_service(struct check *check)
{
    struct lethe_error err = {0};
    assert_ok(service_create(&check->options, &check->service, &err), &err);
    lethe_result result = service_unseal(check->service, NULL, &err);
    assert_result(check->home->root.kind == ROOT_FILE ? LETHE_OK : LETHE_UNAVAILABLE, result);
    connect_ends(&check->door, CORE_NETWORK, &check->client);
    connect_ends(&check->admin, CORE_ADMIN, &check->program);
    check->connection = 0;
    connect_with_chain(check, NULL, 0);
}

static void close_service(struct check *check)
{
    core_forget(check->service, &check->door);
    core_forget(check->service, &check->admin);
    wire_clear(&check->door.wire);
    wire_clear(&check->admin.wire);
    wire_clear(&check->client);
    wire_clear(&check->program);
    service_free(check->service);
}

static void keep_token(const struct lethe_secret *token, char out[128])
{
    assert_true(lethe_secret_size(token) < 128);
    memset(out, 0, 128);
    memcpy(out, lethe_secret_bytes_const(token), lethe_secret_size(token));
}

void make_token(struct check *check, const char *tenant, const char *policy, char token[128],
                char name[160])
{
    struct lethe_error err = {0};
    struct token_entry entry = {.path = "auth/token/create", .policy_count = 1};
    CLEANUP(lethe_secret_free) struct lethe_secret *made = NULL;
    snprintf(entry.tenant, sizeof entry.tenant, "%s", tenant);
    snprintf(entry.policies[0], sizeof entry.policies[0], "%s", policy);
    assert_ok(tokens_create(check->service->tokens, &entry, &made, &err), &err);
    keep_token(made, token);
    snprintf(name, 160, "token:%s", entry.accessor);
}

static struct check *make_check(void)
{
    void *home;
    struct check *check = calloc(1, sizeof *check);
    assert_non_null(check);
    assert_int_equal(0, home_setup(&home));
    check->home = home;
    check->options =
        (struct service_options){.keeper = check->home->options, .trust_domain = "example.org"};
    return check;
}

int service_setup_sealed(void **state)
{
    static const char line[] = CHECK_PASSPHRASE "\n";
    int ends[2];
    struct check *check = make_check();
    assert_int_equal(0, pipe(ends));
    assert_int_equal(sizeof line - 1, write(ends[1], line, sizeof line - 1));
    close(ends[1]);
    check->home->root = (struct root_spec){.kind = ROOT_PASSPHRASE, .passphrase_fd = ends[0]};
    must_make_home(check->home);
    close(ends[0]);
    open_service(check);
    *state = check;
    return 0;
}

int service_setup(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *token = NULL;
    struct check *check = make_check();
    must_make_home(check->home);
    open_service(check);
    assert_ok(service_init(check->service, &token, &err), &err);
    keep_token(token, check->root);
    make_token(check, "acme", "nothing", check->other, check->other_name);
    *state = check;
    return 0;
}

int service_teardown(void **state)
{
    struct check *check = *state;
    void *home = check->home;
    check_free(check);
    return home_teardown(&home);
}

struct check *check_of_home(struct home *home)
{
    struct check *check = calloc(1, sizeof *check);
    assert_non_null(check);
    check->home = home;
    check->options =
        (struct service_options){.keeper = home->options, .trust_domain = "example.org"};
    open_service(check);
    return check;
}

void check_free(struct check *check)
{
    close_service(check);
    guarded_clear(&check->body);
    guarded_clear(&check->last_piece);
    free(check);
}

void reopen(struct check *check)
{
    close_service(check);
    open_service(check);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static struct wire_part part(const void *bytes, size_t size_bytes)
{
    return (struct wire_part){size_bytes == 0 ? NULL : bytes, size_bytes};
}

static struct wire_part text_part(const char *text)
{
    return part(text, text == NULL ? 0 : strlen(text));
}

static unsigned method_code(const char *method)
{
    static const struct {
        const char *name;
        unsigned code;
    } methods[] = {{"GET", CALL_GET},  {"HEAD", CALL_GET},      {"POST", CALL_POST},
                   {"PUT", CALL_POST}, {"DELETE", CALL_DELETE}, {"LIST", CALL_LIST}};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        if (strcmp(methods[i].name, method) == 0)
            return methods[i].code;
    }
    fail_msg("no such method: %s", method);
    return 0;
}

void connect_with_chain(struct check *check, const void *chain, size_t chain_bytes)
{
    struct wire_frame frame = {.kind = WIRE_CONNECTION, .connection = ++check->connection};
    frame.parts[0] = text_part("192.0.2.7");
    frame.parts[1] = part(chain, chain_bytes);
    wire_put(&check->client, &frame);
}

static void put_request(struct check *check, struct wire *wire, struct wire_frame *frame,
                        const char *path)
{
    char whole[16384];
    const char *query = strchr(path, '?');
    size_t length = query == NULL ? strlen(path) : (size_t)(query - path);
    bool is_metrics = strncmp(path, "metrics", length) == 0;
    int size =
        snprintf(whole, sizeof whole, "%s%.*s", is_metrics ? "/" : "/v1/", (int)length, path);
    frame->kind = WIRE_REQUEST;
    frame->connection = check->connection;
    frame->number = ++check->number;
    frame->parts[1] = part(whole, (size_t)size);
    frame->parts[2] = text_part(query == NULL ? NULL : query + 1);
    wire_put(wire, frame);
}

void send_request(struct check *check, const char *method, const char *path, const char *token,
                  const char *body)
{
    struct wire_frame frame = {.code = (uint16_t)method_code(method),
                               .flags = token == NULL ? 0 : WIRE_HAS_TOKEN};
    frame.parts[0] = text_part(token);
    frame.parts[3] = text_part(body);
    put_request(check, &check->client, &frame, path);
}

/* ---- answering ------------------------------------------------------------------------------- */

static void pump(struct wire *from, struct wire *to)
{
    struct lethe_error err = {0};
    bool left = true;
    for (size_t before = SIZE_MAX; left || to->in.size_bytes != before;) {
        assert_ok(wire_flush(from, &left, &err), &err);
        before = to->in.size_bytes - to->in_done;
        assert_ok(wire_fill(to, &err), &err);
    }
}

static void run_peer(struct check *check, struct core_peer *peer, struct wire *ours)
{
    struct lethe_error err = {0};
    pump(ours, &peer->wire);
    assert_ok(core_handle(check->service, peer, &err), &err);
    pump(&peer->wire, ours);
}

void run_core(struct check *check)
{
    run_peer(check, &check->door, &check->client);
}

static void keep(struct guarded *out, const struct wire_part *from)
{
    guarded_wipe(out);
    guarded_append(out, from->at, from->size_bytes);
    guarded_append(out, "", 1);
    assert_int_equal(LETHE_OK, guarded_result(out, NULL));
    out->size_bytes--;
}

static void keep_answer(struct check *check, const struct wire_frame *frame)
{
    check->status = frame->code;
    check->stream = (frame->flags & WIRE_STREAM) != 0;
    assert_true(frame->parts[0].size_bytes < sizeof check->content_type);
    memset(check->content_type, 0, sizeof check->content_type);
    if (frame->parts[0].size_bytes > 0)
        memcpy(check->content_type, frame->parts[0].at, frame->parts[0].size_bytes);
    keep(&check->body, &frame->parts[1]);
}

static bool next_of(struct check *check, struct wire *wire)
{
    struct wire_frame frame;
    while (wire_next(wire, &frame) == LETHE_OK) {
        check->penalties += frame.kind == WIRE_PENALISE ? 1 : 0;
        check->closes += frame.kind == WIRE_CLOSE ? 1 : 0;
        check->pieces += frame.kind == WIRE_PIECE ? 1 : 0;
        check->settings += frame.kind == WIRE_SETTINGS ? 1 : 0;
        check->readies += frame.kind == WIRE_READY ? 1 : 0;
        if (frame.kind == WIRE_READY)
            check->sealed = frame.code;
        if (frame.kind == WIRE_PIECE)
            keep(&check->last_piece, &frame.parts[0]);
        if (frame.kind != WIRE_ANSWER)
            continue;
        keep_answer(check, &frame);
        return true;
    }
    return false;
}

bool answer_next(struct check *check)
{
    return next_of(check, &check->client);
}

bool operator_answer_next(struct check *check)
{
    return next_of(check, &check->program);
}

unsigned last_answer(struct check *check, bool to_operator)
{
    struct core_peer *peer = to_operator ? &check->admin : &check->door;
    struct wire *ours = to_operator ? &check->program : &check->client;
    run_peer(check, peer, ours);
    check->status = 0;
    while (next_of(check, ours))
        ;
    assert_int_not_equal(0, check->status);
    return check->status;
}

unsigned call(struct check *check, const char *method, const char *path, const char *token,
              const char *body)
{
    send_request(check, method, path, token, body);
    return last_answer(check, false);
}

void send_operator_request(struct check *check, const char *method, const char *path,
                           const char *body)
{
    struct wire_frame frame = {.code = (uint16_t)method_code(method)};
    frame.parts[3] = text_part(body);
    put_request(check, &check->program, &frame, path);
}

unsigned call_operator(struct check *check, const char *method, const char *path, const char *body)
{
    send_operator_request(check, method, path, body);
    return last_answer(check, true);
}

unsigned call_with_flags(struct check *check, unsigned flags, const char *path, const char *token)
{
    struct wire_frame frame = {.code = CALL_GET,
                               .flags = (uint8_t)(flags | (token == NULL ? 0 : WIRE_HAS_TOKEN))};
    frame.parts[0] = text_part(token);
    put_request(check, &check->client, &frame, path);
    return last_answer(check, false);
}

/* ---- looking --------------------------------------------------------------------------------- */

const char *body_text(struct check *check)
{
    return (const char *)check->body.bytes;
}

void assert_has(struct check *check, const char *text)
{
    if (strstr(body_text(check), text) == NULL)
        fail_msg("%u: no %s in %s", check->status, text, body_text(check));
}

void assert_has_not(struct check *check, const char *text)
{
    if (strstr(body_text(check), text) != NULL)
        fail_msg("%u: %s in %s", check->status, text, body_text(check));
}

const char *body_member(struct check *check, const char *name)
{
    static char value[4096];
    char wanted[128];
    snprintf(wanted, sizeof wanted, "\"%s\":\"", name);
    const char *at = strstr(body_text(check), wanted);
    if (at == NULL)
        return "";
    at += strlen(wanted);
    snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\""), at);
    return value;
}

size_t records(struct check *check, const char *event, const char *with)
{
    struct lethe_error err = {0};
    assert_ok(audit_sync(keeper_log(check->service->keeper), &err), &err);
    return count_records(check->home, event, with);
}
