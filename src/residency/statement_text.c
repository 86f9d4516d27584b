#include "residency/statement_text.h"

#include <inttypes.h>
#include <string.h>

#include "audit/note.h"
#include "base/cursor.h"
#include "base/error.h"
#include "base/text.h"
#include "base/validate.h"
#include "residency/seal_text.h"

#define STATEMENT_FORMAT "lethe-residency/1"

static const char *const policies[] = {
    [LETHE_DEVICE_ONLY] = "device-only",
    [LETHE_HOST_ALLOWED] = "host-allowed",
};

/* How the bytes of a shard can have been verified. */
static const struct {
    const char *word;
    enum lethe_verify_mode mode;
} verified[] = {
    {"never", LETHE_VERIFY_DEFAULT},
    {"full", LETHE_VERIFY_FULL},
    {"fast", LETHE_VERIFY_FAST},
};

/* ---- write ----------------------------------------------------------------------------------- */

void statement_append_head(struct buffer *out, const struct statement_head *head)
{
    char nonce[2 * STATEMENT_NONCE_BYTES + 1];
    const struct lethe_statement *says = &head->says;
    hex_encode(head->nonce, sizeof head->nonce, nonce);
    buffer_format(out, STATEMENT_FORMAT "\nworker %s\nnode %s\nstate %s\npolicy %s\n", says->worker,
                  says->node, says->state,
                  policies[says->device_only ? LETHE_DEVICE_ONLY : LETHE_HOST_ALLOWED]);
    buffer_format(out, "time %" PRIu64 "\nnonce %s\n", says->time_s, nonce);
}

static const char *word_of(enum lethe_verify_mode mode)
{
    for (size_t i = 0; i < ARRAY_LEN(verified); i++) {
        if (verified[i].mode == mode)
            return verified[i].word;
    }
    REQUIRE(!"a verification of bytes");
    return "";
}

void statement_append_row(struct buffer *out, const struct statement_row *row)
{
    char text[SEAL_TEXT_SIZE];
    (void)seal_text(&row->seal, text);
    buffer_format(out, "shard %s %s %" PRIu64 "\n", text, word_of(row->verified_mode),
                  row->verified_at_s);
}

/* ---- read ------------------------------------------------------------------------------------ */

static lethe_result malformed(struct lethe_error *err, const char *what)
{
    return error_set(err, LETHE_MALFORMED, "a statement %s", what);
}

/* A part of a line, not terminated. */
struct part {
    const char *at;
    size_t length;
};

static bool part_is(struct part part, const char *text)
{
    return part.length == strlen(text) && memcmp(part.at, text, part.length) == 0;
}

/* Cuts off what is before `mark`, which must be there. */
static bool part_before(struct part *rest, char mark, struct part *out)
{
    const char *found = memchr(rest->at, mark, rest->length);
    if (found == NULL)
        return false;
    *out = (struct part){rest->at, (size_t)(found - rest->at)};
    rest->length -= out->length + 1;
    rest->at = found + 1;
    return true;
}

static bool part_copy(struct part part, char *out, size_t size)
{
    if (part.length >= size || memchr(part.at, '\0', part.length) != NULL)
        return false;
    memcpy(out, part.at, part.length);
    out[part.length] = '\0';
    return true;
}

static bool part_number(struct part part, uint64_t *out)
{
    return note_decimal(part.at, part.length, out);
}

/* The next line, which must begin with the word and a space. */
static lethe_result next_value(struct cursor *lines, const char *word, struct part *out,
                               struct lethe_error *err)
{
    struct part line = {"", 0};
    struct part first = {"", 0};
    if (cursor_line(lines, &line.at, &line.length) == LETHE_OK && part_before(&line, ' ', &first) &&
        part_is(first, word)) {
        *out = line;
        return LETHE_OK;
    }
    return error_set(err, LETHE_MALFORMED, "a statement without its line '%s'", word);
}

static lethe_result next_name(struct cursor *lines, const char *word, char out[NAME_PART_MAX + 1],
                              struct lethe_error *err)
{
    struct part value = {"", 0};
    TRY(next_value(lines, word, &value, err));
    if (part_copy(value, out, NAME_PART_MAX + 1) &&
        validate_identifier(word, out, NAME_PART_MAX, NULL) == LETHE_OK)
        return LETHE_OK;
    return error_set(err, LETHE_MALFORMED, "a statement whose %s is no name", word);
}

static lethe_result next_state(struct cursor *lines, struct lethe_statement *out,
                               struct lethe_error *err)
{
    struct part value = {"", 0};
    TRY(next_value(lines, "state", &value, err));
    for (int state = LETHE_WORKER_STARTING; state <= LETHE_WORKER_STOPPED; state++) {
        if (part_is(value, lethe_worker_state_name((enum lethe_worker_state)state)) &&
            part_copy(value, out->state, sizeof out->state))
            return LETHE_OK;
    }
    return malformed(err, "whose state is none");
}

static lethe_result next_policy(struct cursor *lines, struct lethe_statement *out,
                                struct lethe_error *err)
{
    struct part value = {"", 0};
    TRY(next_value(lines, "policy", &value, err));
    out->device_only = part_is(value, policies[LETHE_DEVICE_ONLY]);
    if (out->device_only || part_is(value, policies[LETHE_HOST_ALLOWED]))
        return LETHE_OK;
    return malformed(err, "whose policy is none");
}

static lethe_result parse_head(struct cursor *lines, struct statement_head *out,
                               struct lethe_error *err)
{
    struct part value = {"", 0};
    struct lethe_statement *says = &out->says;
    if (cursor_line(lines, &value.at, &value.length) != LETHE_OK ||
        !part_is(value, STATEMENT_FORMAT))
        return malformed(err, "that does not begin with " STATEMENT_FORMAT);
    TRY(next_name(lines, "worker", says->worker, err));
    TRY(next_name(lines, "node", says->node, err));
    TRY(next_state(lines, says, err));
    TRY(next_policy(lines, says, err));
    TRY(next_value(lines, "time", &value, err));
    if (!part_number(value, &says->time_s))
        return malformed(err, "whose time is no decimal number");
    TRY(next_value(lines, "nonce", &value, err));
    if (hex_decode(value.at, value.length, out->nonce, sizeof out->nonce) != LETHE_OK)
        return malformed(err, "whose nonce is not 64 hex digits");
    return LETHE_OK;
}

static bool parse_seal(struct part *rest, struct lethe_seal *out)
{
    struct part id, digest, sealed_at, device;
    return part_before(rest, '|', &id) && part_before(rest, '|', &digest) &&
           part_before(rest, '|', &sealed_at) && part_before(rest, ' ', &device) &&
           part_copy(id, out->id, sizeof out->id) &&
           part_copy(digest, out->digest, sizeof out->digest) &&
           part_number(sealed_at, &out->sealed_at_s) &&
           part_copy(device, out->device, sizeof out->device) &&
           seal_validate(out, NULL) == LETHE_OK;
}

static bool parse_verified(struct part rest, struct statement_row *out)
{
    struct part word;
    if (!part_before(&rest, ' ', &word) || !part_number(rest, &out->verified_at_s))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(verified); i++) {
        if (!part_is(word, verified[i].word))
            continue;
        out->verified_mode = verified[i].mode;
        return out->verified_mode != LETHE_VERIFY_DEFAULT || out->verified_at_s == 0;
    }
    return false;
}

/* In order, so that no shard is there twice, and the same things are said in one way only. */
static lethe_result next_row(struct cursor *lines, struct statement_row *out,
                             struct lethe_error *err)
{
    struct part value = {"", 0};
    char before[sizeof out->seal.id];
    memcpy(before, out->seal.id, sizeof before);
    TRY(next_value(lines, "shard", &value, err));
    if (!parse_seal(&value, &out->seal) || !parse_verified(value, out))
        return malformed(err, "with a shard that is not one");
    if (strcmp(before, out->seal.id) >= 0)
        return malformed(err, "whose shards are not in order");
    return LETHE_OK;
}

lethe_result statement_parse(const char *text, size_t size_bytes, struct statement_head *out,
                             void (*row)(void *context, const struct statement_row *row),
                             void *context, struct lethe_error *err)
{
    struct cursor lines = cursor_over(text, size_bytes);
    struct statement_row found = {0};
    *out = (struct statement_head){0};
    TRY(parse_head(&lines, out, err));
    for (; cursor_left(&lines) > 0; out->says.shards++) {
        TRY(next_row(&lines, &found, err));
        if (row != NULL)
            row(context, &found);
    }
    return LETHE_OK;
}
