/* lethe kms status, unseal, seal, events. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "cli/common.h"
#include "cli/kms_call.h"
#include "kms/secret_file.h"

/* Shows what the service says of itself. Sealed is exit 5: it is there, and of no use. */
static lethe_result show_state(const struct invocation *invocation, const struct guarded *answer,
                               int *exit_code, struct lethe_error *err)
{
    struct json_piece whole = {0};
    struct json_piece sealed = {0};
    TRY(client_answer(answer, &whole, err));
    if (json_piece_find(&whole, "sealed", &sealed) != LETHE_OK)
        return error_set(err, LETHE_MALFORMED, "the key service's answer has no sealed");
    if (sealed.kind != JSON_PIECE_FALSE)
        *exit_code = lethe_result_exit_code(LETHE_UNAVAILABLE);
    return kms_print_answer(answer, option_given(invocation, "json"), err);
}

/* "machines": N, "machines_revoked": M, when whoever asks may know. */
static void put_count(struct kms_call *call, const char *path, const char *name,
                      struct guarded *out)
{
    struct json_piece answer, list, none, row, revoked;
    char member[64];
    uint64_t count = 0, revoked_count = 0;
    snprintf(member, sizeof member, "data/%s", name);
    if (kms_call_ask(call, HTTP_LIST, path, &answer, NULL) != LETHE_OK ||
        json_piece_find(&answer, member, &list) != LETHE_OK || list.kind != JSON_PIECE_ARRAY)
        return;
    struct json_walk walk = json_walk_over(&list);
    while (json_walk_next(&walk, &none, &row) == LETHE_OK) {
        count++;
        revoked_count += json_piece_find(&row, "revoked", &revoked) == LETHE_OK &&
                         revoked.kind == JSON_PIECE_TEXT && revoked.length > 0;
    }
    client_put_number(out, name, count);
    snprintf(member, sizeof member, "%s_revoked", name);
    client_put_number(out, member, revoked_count);
}

/* What the service says of itself, and of machines, as one object. */
static lethe_result join_state(struct kms_call *call, struct guarded *out, struct lethe_error *err)
{
    struct json_piece whole = {0}, sealed = {0};
    TRY(client_answer(&call->answer, &whole, err));
    bool may_ask = call->is_proven && json_piece_find(&whole, "sealed", &sealed) == LETHE_OK &&
                   sealed.kind == JSON_PIECE_FALSE;
    guarded_append(out, whole.at, whole.length - 1);
    if (may_ask) {
        put_count(call, "lethe/attest/machines", "machines", out);
        put_count(call, "lethe/attest/references", "references", out);
    }
    client_put_close(out, '}');
    return guarded_result(out, err);
}

COMMAND_FUNCTION(kms_status)
{
    CLEANUP(kms_call_close) struct kms_call call = {0};
    CLEANUP(guarded_clear) struct guarded state = {0};
    TRY(kms_call_open(invocation, &call, err));
    TRY(kms_call_do(&call, HTTP_GET, "sys/seal-status", NULL, err));
    TRY(join_state(&call, &state, err));
    return show_state(invocation, &state, &invocation->exit_code, err);
}

/* A root that is no passphrase is where the service was told, and it needs no more than the word.
 */
static lethe_result root_is_passphrase(struct kms_call *call, bool *out, struct lethe_error *err)
{
    struct json_piece answer = {0};
    struct json_piece type = {0};
    TRY(kms_call_ask(call, HTTP_GET, "sys/seal-status", &answer, err));
    *out = json_piece_find(&answer, "type", &type) != LETHE_OK ||
           json_piece_is(&type, "passphrase") || json_piece_is(&type, "shamir");
    return LETHE_OK;
}

COMMAND_FUNCTION(kms_unseal)
{
    CLEANUP(kms_call_close) struct kms_call call = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *passphrase = NULL;
    bool wanted = option_given(invocation, "passphrase-fd");
    int fd;
    TRY(common_passphrase_fd(invocation, &fd, err));
    TRY(kms_call_open(invocation, &call, err));
    if (!wanted)
        TRY(root_is_passphrase(&call, &wanted, err));
    if (wanted)
        TRY(secret_passphrase_read(fd, false, &passphrase, err));
    client_put_open(&call.request, NULL, '{');
    if (passphrase != NULL)
        client_put_bytes(&call.request, "key", lethe_secret_bytes_const(passphrase),
                         lethe_secret_size(passphrase));
    client_put_close(&call.request, '}');
    TRY(kms_call_do(&call, HTTP_POST, "sys/unseal", NULL, err));
    return show_state(invocation, &call.answer, &invocation->exit_code, err);
}

COMMAND_FUNCTION(kms_seal)
{
    CLEANUP(kms_call_close) struct kms_call call = {0};
    TRY(kms_call_open(invocation, &call, err));
    TRY(kms_call_do(&call, HTTP_POST, "sys/seal", NULL, err));
    fprintf(stderr, "lethe: sealed: the service has forgotten all keys until lethe kms unseal\n");
    return LETHE_OK;
}

/* ---- events ---------------------------------------------------------------------------------- */

#define IDLE_MS 120000u /* the service says something more often, even when nothing happens */

/* Lines of the stream (server-sent events) as they come: "event" and "data" are joined. */
struct lines {
    char line[8192];
    size_t length;
    bool too_long;
    bool json;
    char event[64];
};

static lethe_result show_line(struct lines *lines, struct lethe_error *err)
{
    const char *line = lines->line;
    if (strncmp(line, "event: ", 7) == 0)
        snprintf(lines->event, sizeof lines->event, "%.63s", line + 7);
    if (strncmp(line, "data: ", 6) != 0)
        return LETHE_OK;
    if (lines->json)
        printf("{\"event\":\"%s\",\"data\":%s}\n", lines->event, line + 6);
    else
        printf("%-24s %s\n", lines->event, line + 6);
    if (fflush(stdout) != 0)
        return error_from_errno(err, "writing to standard output");
    return LETHE_OK;
}

static lethe_result take_piece(void *context, const uint8_t *bytes, size_t size_bytes,
                               struct lethe_error *err)
{
    struct lines *lines = context;
    for (size_t i = 0; i < size_bytes; i++) {
        char c = (char)bytes[i];
        if (c == '\n') {
            lines->line[lines->length] = '\0';
            if (!lines->too_long)
                TRY(show_line(lines, err));
            lines->length = 0;
            lines->too_long = false;
        } else if (lines->length + 1 == sizeof lines->line) {
            lines->too_long = true;
        } else {
            lines->line[lines->length++] = (unsigned char)c < ' ' || c == 0x7f ? '?' : c;
        }
    }
    return LETHE_OK;
}

COMMAND_FUNCTION(kms_events)
{
    CLEANUP(kms_call_close) struct kms_call call = {0};
    struct lines lines = {.json = option_given(invocation, "json")};
    TRY(kms_call_open(invocation, &call, err));
    return kms_call_follow(&call, "lethe/events", IDLE_MS, take_piece, &lines, err);
}
