#include "hostile.h"

#include "service/routes.h"

/* ---- asking ---------------------------------------------------------------------------------- */

static struct wire_part part(const void *at, size_t size_bytes)
{
    return (struct wire_part){size_bytes == 0 ? NULL : at, size_bytes};
}

static struct wire_part text(const char *at)
{
    return part(at, at == NULL ? 0 : strlen(at));
}

static void keep(struct guarded *out, const struct wire_part *from)
{
    guarded_wipe(out);
    guarded_append(out, from->at, from->size_bytes);
    guarded_append(out, "", 1);
    assert_int_equal(LETHE_OK, guarded_result(out, NULL));
    out->size_bytes--;
}

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

static unsigned ask(struct check *check, struct core_peer *peer, struct wire *ours,
                    const struct wire_frame *request)
{
    struct wire_frame frame;
    struct lethe_error err = {0};
    wire_put(ours, request);
    pump(ours, &peer->wire);
    assert_ok(core_handle(check->service, peer, &err), &err);
    pump(&peer->wire, ours);
    check->status = 0;
    while (wire_next(ours, &frame) == LETHE_OK) {
        if (frame.kind != WIRE_ANSWER)
            continue;
        check->status = frame.code;
        snprintf(check->content_type, sizeof check->content_type, "%.*s",
                 (int)frame.parts[0].size_bytes, (const char *)frame.parts[0].at);
        keep(&check->body, &frame.parts[1]);
    }
    assert_int_not_equal(0, check->status);
    return check->status;
}

static struct wire_frame frame_of(struct check *check, const struct attack *attack, char *whole)
{
    struct wire_frame frame = {.kind = WIRE_REQUEST,
                               .code = (uint16_t)attack->method,
                               .connection = check->connection,
                               .number = ++check->number};
    sprintf(whole, "%s%s", strcmp(attack->path, "metrics") == 0 ? "/" : "/v1/", attack->path);
    if (attack->token != NULL) {
        size_t size_bytes = attack->token_bytes != 0 ? attack->token_bytes : strlen(attack->token);
        frame.flags = WIRE_HAS_TOKEN;
        frame.parts[0] = part(attack->token, size_bytes);
    }
    frame.parts[1] = text(whole);
    frame.parts[2] = text(attack->query);
    frame.parts[3] = part(attack->body.at, attack->body.size_bytes);
    return frame;
}

unsigned attack(struct check *check, const struct attack *attack)
{
    char whole[16384];
    const struct wire_frame frame = frame_of(check, attack, whole);
    return ask(check, &check->door, &check->client, &frame);
}

unsigned attack_as_operator(struct check *check, const struct attack *attack)
{
    char whole[16384];
    struct attack bare = *attack;
    bare.token = NULL;
    const struct wire_frame frame = frame_of(check, &bare, whole);
    return ask(check, &check->admin, &check->program, &frame);
}

/* ---- routes ---------------------------------------------------------------------------------- */

const struct route *next_route(const struct route *route)
{
    static size_t table;
    if (route == NULL)
        table = 0;
    const struct route *next = route == NULL ? route_tables[0] : route + 1;
    while (next->pattern == NULL) {
        if (route_tables[++table] == NULL)
            return NULL;
        next = route_tables[table];
    }
    return next;
}

unsigned first_method(const struct route *route)
{
    return route->methods & (~route->methods + 1);
}

static const char *filling(const char *variable, size_t length, const char *name)
{
    static const struct {
        const char *variable, *text;
    } fillings[] = {{":type", "encryption-key"},
                    {":version", "1"},
                    {":kind", "plaintext"},
                    {":bytes", "32"},
                    {":algorithm", "sha2-256"},
                    {":serial", "00"},
                    {"*id", "example.org/tenant/acme/x"}};
    for (size_t i = 0; i < ARRAY_LEN(fillings); i++)
        if (strlen(fillings[i].variable) == length &&
            memcmp(fillings[i].variable, variable, length) == 0)
            return fillings[i].text;
    return name;
}

void path_of(const struct route *route, const char *name, char out[256])
{
    size_t used = 0;
    for (const char *at = route->pattern; *at != '\0';) {
        size_t length = strcspn(at, "/");
        bool is_variable = *at == ':' || *at == '*';
        const char *part = is_variable ? filling(at, length, name) : at;
        used += (size_t)snprintf(out + used, 256 - used, "%.*s%s",
                                 is_variable ? (int)strlen(part) : (int)length, part,
                                 at[length] == '/' ? "/" : "");
        at += length + (at[length] == '/');
    }
}

/* ---- what is there --------------------------------------------------------------------------- */

static lethe_result add_row(void *context, const char *path, uint64_t version,
                            struct lethe_error *err)
{
    uint64_t *hash = context;
    (void)err;
    for (; *path != '\0'; path++)
        *hash = (*hash ^ (uint8_t)*path) * 0x100000001b3u;
    *hash = (*hash ^ version) * 0x100000001b3u;
    return LETHE_OK;
}

uint64_t state_of(struct check *check)
{
    struct lethe_error err = {0};
    uint64_t hash = 0xcbf29ce484222325u;
    assert_ok(store_list(keeper_store(check->service->keeper), "", add_row, &hash, &err), &err);
    return hash;
}

void make_all(struct check *check)
{
    static const struct {
        const char *path, *body;
    } made[] = {
        {"transit/keys/" MADE, "{\"exportable\":true,\"allow_plaintext_backup\":true}"},
        {"pki/root/generate/internal", "{\"common_name\":\"r\"}"},
        {"pki/roles/" MADE, "{\"allow_any_name\":true}"},
        {"sys/policies/acl/" MADE,
         "{\"policy\":\"path \\\"sys/mounts\\\" { capabilities = [\\\"read\\\"] }\"}"},
        {"lethe/identities", "{\"id\":\"spiffe://example.org/tenant/acme/x\"}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(made); i++)
        if (call_operator(check, "POST", made[i].path, made[i].body) / 100 != 2)
            fail_msg("%s: %u %s", made[i].path, check->status, body_text(check));
}
