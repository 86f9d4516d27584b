/* lethe attest machines, references, reference, revoke: what a key service knows of machines. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/validate.h"
#include "cli/attest_place.h"
#include "cli/common.h"
#include "cli/kms_call.h"

#define PATH_SIZE 192u
#define CELL_SIZE 4096u /* a reference value with every PCR and all loaders */
#define REFERENCE_MAX ((size_t)64 << 10)
#define MACHINES "lethe/attest/machines"
#define REFERENCES "lethe/attest/references"

/* ---- lists ----------------------------------------------------------------------------------- */

static void print_piece(const struct json_piece *row, const char *name, int width,
                        const char *behind)
{
    char text[CELL_SIZE], clean[sizeof text];
    struct json_piece piece;
    size_t length = 0;
    if (json_piece_find(row, name, &piece) != LETHE_OK)
        piece = (struct json_piece){0};
    if (piece.kind == JSON_PIECE_TEXT &&
        json_piece_text(&piece, text, sizeof text - 1, &length) != LETHE_OK)
        length = 0;
    if (piece.kind == JSON_PIECE_NUMBER)
        memcpy(text, piece.at, length = MIN(piece.length, sizeof text - 1));
    text_sanitise(text, length, clean, sizeof clean);
    printf("%-*s%s", width, clean[0] != '\0' ? clean : "-", behind);
}

/* A column for each name; the last one as wide as it is. */
struct column {
    const char *name, *title;
    int width;
};

static void print_rows(const struct json_piece *list, const struct column *columns)
{
    struct json_piece none, row;
    struct json_walk walk = json_walk_over(list);
    for (const struct column *column = columns; column->name != NULL; column++)
        printf("%-*s%s", column->width, column->title, column[1].name != NULL ? " " : "\n");
    while (json_walk_next(&walk, &none, &row) == LETHE_OK) {
        for (const struct column *column = columns; column->name != NULL; column++)
            print_piece(&row, column->name, column->width, column[1].name != NULL ? " " : "\n");
    }
}

static lethe_result list(struct invocation *invocation, const char *path, const char *name,
                         const struct column *columns, struct lethe_error *err)
{
    CLEANUP(kms_call_close) struct kms_call call = {0};
    struct json_piece answer = {0}, rows = {0};
    TRY(kms_call_open(invocation, &call, err));
    TRY(kms_call_ask(&call, HTTP_LIST, path, &answer, err));
    if (option_given(invocation, "json"))
        return kms_print_answer(&call.answer, true, err);
    if (json_piece_find(&answer, name, &rows) != LETHE_OK || rows.kind != JSON_PIECE_ARRAY)
        return error_set(err, LETHE_MALFORMED, "the key service's answer has no list");
    print_rows(&rows, columns);
    return LETHE_OK;
}

COMMAND_FUNCTION(attest_machines)
{
    static const struct column columns[] = {{"name", "NAME", 20},
                                            {"kind", "KIND", 8},
                                            {"enrolled", "ENROLLED", 21},
                                            {"revoked", "REVOKED", 21},
                                            {"identity", "IDENTITY", 32},
                                            {"id", "ID", 0},
                                            {0}};
    return list(invocation, MACHINES, "data/machines", columns, err);
}

COMMAND_FUNCTION(attest_references)
{
    static const struct column columns[] = {{"name", "NAME", 20},        {"version", "VERSION", 8},
                                            {"added", "ADDED", 21},      {"revoked", "REVOKED", 21},
                                            {"document", "DOCUMENT", 0}, {0}};
    return list(invocation, REFERENCES, "data/references", columns, err);
}

/* ---- reference values ------------------------------------------------------------------------ */

static lethe_result put_loaders(const struct invocation *invocation, struct buffer *json,
                                struct lethe_error *err)
{
    const char *between = ",\"loaders\":[";
    for (int i = 0; i < invocation->given_count; i++) {
        char digest[ATTEST_DIGEST_SIZE];
        if (strcmp(invocation->given[i]->name, "loader") != 0)
            continue;
        TRY(attest_file_digest(invocation->values[i], digest, err));
        buffer_format(json, "%s\"%s\"", between, digest);
        between = ",";
    }
    if (between[1] == '\0')
        buffer_text(json, "]");
    return LETHE_OK;
}

/* The PCRs as they are now. */
static lethe_result describe_machine(const struct invocation *invocation, struct buffer *json,
                                     struct lethe_error *err)
{
    CLEANUP(attest_place_clear) struct attest_place place = {0};
    CLEANUP(tpm2_device_close) struct tpm2_device *device = NULL;
    struct tpm2_pcrs pcrs;
    uint32_t mask = ATTEST_PCRS_DEFAULT;
    const char *text = option_text(invocation, "pcrs");
    if (text != NULL)
        TRY(attest_read_pcr_list(text, &mask, err));
    TRY(attest_place_locate(invocation, attest_kind_name(ATTEST_TPM2), &place, err));
    TRY(attest_place_tpm(&place, &device, err));
    TRY(tpm2_device_pcrs(device, mask, &pcrs, err));
    buffer_format(json, "{\"kind\":\"%s\",\"pcrs\":", attest_kind_name(ATTEST_TPM2));
    attest_put_pcrs(&pcrs, json);
    TRY(put_loaders(invocation, json, err));
    buffer_text(json, "}");
    return buffer_result(json, err);
}

/* Of a file, or of this machine; checked before it is sent, so that a mistake is named here. */
static lethe_result read_reference(const struct invocation *invocation, int at, struct buffer *json,
                                   struct lethe_error *err)
{
    struct attest_reference reference;
    bool has_file = invocation->positional_count > at;
    if (has_file == option_given(invocation, "from-machine")) {
        error_set(err, LETHE_INVALID,
                  "name a FILE with the reference value, or give --from-machine: one of them");
        error_hint(err, "lethe attest reference show -o FILE writes one, on the machine itself");
        return LETHE_INVALID;
    }
    TRY(has_file ? common_read_text(invocation->positional[at], REFERENCE_MAX, json, err)
                 : describe_machine(invocation, json, err));
    return attest_reference_parse(json->bytes != NULL ? json->bytes : "", json->size_bytes,
                                  &reference, err);
}

static lethe_result make_path(const char *before, const char *name, const char *behind,
                              char path[PATH_SIZE], struct lethe_error *err)
{
    TRY(validate_identifier("the name", name, NAME_PART_MAX, err));
    snprintf(path, PATH_SIZE, "%s/%s%s", before, name, behind);
    return LETHE_OK;
}

static lethe_result add_reference(struct invocation *invocation, struct lethe_error *err)
{
    char path[PATH_SIZE];
    CLEANUP(kms_call_close) struct kms_call call = {0};
    CLEANUP(buffer_clear) struct buffer json = {0};
    TRY(make_path(REFERENCES, invocation->positional[1], "", path, err));
    TRY(read_reference(invocation, 2, &json, err));
    TRY(kms_call_open(invocation, &call, err));
    client_put_open(&call.request, NULL, '{');
    client_put_bytes(&call.request, "document", json.bytes, json.size_bytes);
    client_put_close(&call.request, '}');
    TRY(kms_call_do(&call, HTTP_POST, path, NULL, err));
    return kms_print_answer(&call.answer, option_given(invocation, "json"), err);
}

/* For a service on another machine: its operator adds the file. */
static lethe_result show_reference(struct invocation *invocation, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer json = {0};
    TRY(describe_machine(invocation, &json, err));
    buffer_text(&json, "\n");
    return common_write_text(option_text(invocation, "output"), &json, 0644, err);
}

COMMAND_FUNCTION(attest_reference)
{
    const char *verb = invocation->positional[0];
    if (strcmp(verb, "add") == 0 && invocation->positional_count >= 2)
        return add_reference(invocation, err);
    if (strcmp(verb, "show") == 0 && invocation->positional_count == 1)
        return show_reference(invocation, err);
    error_set(err, LETHE_INVALID, "expected: add NAME FILE, add NAME --from-machine, or show");
    error_hint(err, "lethe attest reference --help");
    return LETHE_INVALID;
}

/* ---- revoking -------------------------------------------------------------------------------- */

COMMAND_FUNCTION(attest_revoke)
{
    char path[PATH_SIZE];
    const char *what = invocation->positional[0];
    const char *reason = option_text(invocation, "reason");
    int64_t version;
    CLEANUP(kms_call_close) struct kms_call call = {0};
    bool is_machine = strcmp(what, "machine") == 0;
    if (!is_machine && strcmp(what, "reference") != 0) {
        error_set(err, LETHE_INVALID, "expected: machine NAME, or reference NAME");
        error_hint(err, "lethe attest machines and lethe attest references list them");
        return LETHE_INVALID;
    }
    TRY(option_number(invocation, "version", 1, INT64_MAX, 0, &version, err));
    if (is_machine && version != 0)
        return error_set(err, LETHE_INVALID, "a machine has no versions");
    TRY(make_path(is_machine ? MACHINES : REFERENCES, invocation->positional[1], "/revoke", path,
                  err));
    TRY(kms_call_open(invocation, &call, err));
    client_put_open(&call.request, NULL, '{');
    client_put_text(&call.request, "reason", reason != NULL ? reason : "not given");
    if (version != 0)
        client_put_number(&call.request, "version", (uint64_t)version);
    client_put_close(&call.request, '}');
    lethe_result result = kms_call_do(&call, HTTP_POST, path, NULL, err);
    if (result == LETHE_NOT_FOUND)
        error_hint(err, "lethe attest %s lists them, and those that were revoked",
                   is_machine ? "machines" : "references");
    TRY(result);
    fprintf(stderr, "lethe: revoked: %s\n",
            is_machine ? "nothing is released to this machine any more"
                       : "nothing is released to machines in this state any more");
    return LETHE_OK;
}
