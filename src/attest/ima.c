#include "attest/ima.h"

#include <string.h>

#include "base/cursor.h"
#include "base/error.h"
#include "base/text.h"
#include "crypto/hash.h"

#define SHA1_BYTES 20u
#define TEMPLATE_NAME_MAX 15u
#define EVENT_NAME_MAX 255u    /* IMA_EVENT_NAME_LEN_MAX, which the oldest template pads to */
#define PATH_MAX_BYTES 4096u   /* PATH_MAX, with its NUL */
#define FIELD_MAX (256u << 10) /* a kernel's command line, a policy, a signature: all less */
#define DATA_MAX (2u * FIELD_MAX)
#define LOADER_TEXT_MAX 71u
#define DIGEST_NAME_MAX 16u /* "sha512:" and its like */

static lethe_result refuse(struct lethe_error *err, const char *what)
{
    return error_set(err, LETHE_DENIED, "%s", what);
}

struct piece {
    const uint8_t *at;
    size_t size_bytes;
};

struct entry {
    struct piece template;
    bool is_violation;
    struct piece digest; /* with its algorithm in front; of the oldest template without */
    struct piece path;
    uint8_t extended[SHA256_BYTES]; /* what the PCR is extended with */
};

/* ---- templates -------------------------------------------------------------------------------
 */

static bool take(struct cursor *cursor, size_t size_max, struct piece *out)
{
    uint32_t size_bytes;
    if (cursor_le32(cursor, &size_bytes) != LETHE_OK || size_bytes > size_max ||
        cursor_bytes(cursor, size_bytes, &out->at) != LETHE_OK)
        return false;
    out->size_bytes = size_bytes;
    return true;
}

/* Its fields and nothing else, each behind its length; digest and path come first in all. */
static bool read_fields(struct entry *entry, struct piece data, unsigned fields)
{
    struct cursor cursor = cursor_over(data.at, data.size_bytes);
    struct piece rest;
    if (!take(&cursor, FIELD_MAX, &entry->digest) || !take(&cursor, PATH_MAX_BYTES, &entry->path))
        return false;
    for (unsigned i = 2; i < fields; i++)
        if (!take(&cursor, FIELD_MAX, &rest))
            return false;
    sha256(data.at, data.size_bytes, entry->extended);
    return cursor_left(&cursor) == 0;
}

/* The oldest template ("ima"): SHA-1 or MD5 in 20 bytes, then the path, and no length of it all.
 * Hashed are the digest and the path, padded with zeros. */
static bool read_oldest(struct cursor *cursor, struct entry *entry)
{
    uint8_t hashed[SHA1_BYTES + EVENT_NAME_MAX + 1] = {0};
    entry->digest.size_bytes = SHA1_BYTES;
    if (cursor_bytes(cursor, SHA1_BYTES, &entry->digest.at) != LETHE_OK ||
        !take(cursor, EVENT_NAME_MAX, &entry->path))
        return false;
    memcpy(hashed, entry->digest.at, SHA1_BYTES);
    memcpy(hashed + SHA1_BYTES, entry->path.at, entry->path.size_bytes);
    sha256(hashed, sizeof hashed, entry->extended);
    return true;
}

static const struct {
    const char *name;
    unsigned fields;
} templates[] = {{"ima-ng", 2}, {"ima-sig", 3}, {"ima-buf", 3}, {"ima-modsig", 5}};

static bool is_text(struct piece piece, const char *text)
{
    return piece.size_bytes == strlen(text) && memcmp(piece.at, text, piece.size_bytes) == 0;
}

/* A template that we do not know could name the loader where we do not look. */
static lethe_result read_data(struct cursor *cursor, struct entry *entry, struct lethe_error *err)
{
    struct piece data;
    if (is_text(entry->template, "ima"))
        return read_oldest(cursor, entry) ? LETHE_OK
                                          : refuse(err, "it has not its template's form");
    for (size_t i = 0; i < ARRAY_LEN(templates); i++)
        if (is_text(entry->template, templates[i].name))
            return take(cursor, DATA_MAX, &data) && read_fields(entry, data, templates[i].fields)
                       ? LETHE_OK
                       : refuse(err, "it has not its template's form");
    return refuse(err, "it is of a template that is not known");
}

/* A NUL at the end is the kernel's; one before it would hide what is behind it. */
static lethe_result check_path(struct piece *path, struct lethe_error *err)
{
    if (path->size_bytes > 0 && path->at[path->size_bytes - 1] == '\0')
        path->size_bytes--;
    return memchr(path->at, '\0', path->size_bytes) == NULL
               ? LETHE_OK
               : refuse(err, "its path has a NUL in it");
}

/* ---- entries ---------------------------------------------------------------------------------
 */

static lethe_result read_entry(struct cursor *cursor, struct entry *entry, struct lethe_error *err)
{
    static const uint8_t zeros[SHA1_BYTES];
    uint32_t pcr;
    const uint8_t *sha1;
    *entry = (struct entry){0};
    if (cursor_le32(cursor, &pcr) != LETHE_OK ||
        cursor_bytes(cursor, SHA1_BYTES, &sha1) != LETHE_OK ||
        !take(cursor, TEMPLATE_NAME_MAX, &entry->template))
        return refuse(err, "it is cut short");
    if (pcr != IMA_PCR)
        return refuse(err, "it was extended into another PCR than 10");
    TRY(read_data(cursor, entry, err));
    TRY(check_path(&entry->path, err));
    entry->is_violation = memcmp(sha1, zeros, SHA1_BYTES) == 0;
    if (entry->is_violation)
        memset(entry->extended, 0xff, sizeof entry->extended);
    return LETHE_OK;
}

static void extend(uint8_t pcr[SHA256_BYTES], const uint8_t with[SHA256_BYTES])
{
    uint8_t both[2 * SHA256_BYTES];
    memcpy(both, pcr, SHA256_BYTES);
    memcpy(both + SHA256_BYTES, with, SHA256_BYTES);
    sha256(both, sizeof both, pcr);
}

/* ---- the loader ------------------------------------------------------------------------------
 */

/* "sha256:" and a NUL; what it names goes into texts of ours. */
static size_t algorithm_bytes(struct piece digest)
{
    const uint8_t *at = digest.at, *end = digest.at + MIN(digest.size_bytes, DIGEST_NAME_MAX);
    while (at < end && ((*at >= 'a' && *at <= 'z') || (*at >= '0' && *at <= '9') || *at == '-'))
        at++;
    bool is_named = at > digest.at && end - at >= 2 && at[0] == ':' && at[1] == '\0';
    return is_named ? (size_t)(at - digest.at) + 2 : 0;
}

/* Of the oldest template the digest stands alone, and is SHA-1. */
static lethe_result digest_text(const struct entry *entry, char out[72], struct lethe_error *err)
{
    char hex[2 * 32 + 1];
    char algorithm[DIGEST_NAME_MAX] = "sha1:";
    struct piece digest = entry->digest;
    if (!is_text(entry->template, "ima")) {
        size_t name_bytes = algorithm_bytes(digest);
        if (name_bytes == 0)
            return refuse(err, "its digest names no algorithm");
        memcpy(algorithm, digest.at, name_bytes);
        digest = (struct piece){digest.at + name_bytes, digest.size_bytes - name_bytes};
    }
    hex_encode(digest.at, MIN(digest.size_bytes, 31), hex);
    if (digest.size_bytes == 32 && strcmp(algorithm, "sha256:") == 0)
        hex_encode(digest.at, 32, hex);
    size_t head = strlen(algorithm), tail = MIN(strlen(hex), LOADER_TEXT_MAX - head);
    memcpy(out, algorithm, head);
    memcpy(out + head, hex, tail);
    out[head + tail] = '\0';
    return LETHE_OK;
}

static bool is_known(const struct ima_replay *replay, const char *text)
{
    for (size_t i = 0; i < replay->loader_count; i++)
        if (strcmp(replay->loaders[i], text) == 0)
            return true;
    return false;
}

/* One digest too many to name is a reason to refuse: it would be the one that matters. */
static lethe_result collect_loader(struct ima_replay *replay, const struct entry *entry,
                                   struct lethe_error *err)
{
    char text[72];
    if (replay->loader_path == NULL || !is_text(entry->path, replay->loader_path))
        return LETHE_OK;
    TRY(digest_text(entry, text, err));
    if (is_known(replay, text))
        return LETHE_OK;
    if (replay->loader_count == ATTEST_LOADERS_MAX)
        return refuse(err, "the loader is in it with too many digests");
    memcpy(replay->loaders[replay->loader_count++], text, sizeof text);
    return LETHE_OK;
}

lethe_result ima_replay(const void *log, size_t log_bytes, struct ima_replay *replay,
                        struct lethe_error *err)
{
    struct cursor cursor = cursor_over(log, log_bytes);
    uint8_t pcr[SHA256_BYTES] = {0};
    replay->loader_count = replay->entries = replay->violations = 0;
    while (cursor_left(&cursor) > 0) {
        struct entry entry;
        lethe_result result = read_entry(&cursor, &entry, err);
        if (result == LETHE_OK)
            result = collect_loader(replay, &entry, err);
        replay->entries++;
        replay->violations += entry.is_violation;
        TRY(error_context(err, result, "entry %zu", replay->entries));
        extend(pcr, entry.extended);
        if (memcmp(pcr, replay->pcr, sizeof pcr) == 0)
            return LETHE_OK;
    }
    return refuse(err, "no entry leads to the value that was quoted");
}
