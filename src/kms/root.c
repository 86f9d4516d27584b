#include "kms/root.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "base/validate.h"
#include "crypto/hash.h"
#include "kms/root_record.h"
#include "kms/secret_file.h"

/* scrypt for interactive use: 128 MiB and a third of a second (RFC 7914; OWASP's first choice). */
#define COST_LOG2_N 17
#define COST_R 8
#define COST_P 1
/* What a record may ask for: 1 GiB. */
#define COST_LOG2_N_MAX 20
#define COST_RP_MAX 16

/* A credential is used as it is, not stretched, so it must be a key and not a word. */
#define CREDENTIAL_MIN_BYTES 32u

#define WRAP_DOMAIN "lethe-root-wrap/1"

/* ---- the root file: one line, so that damage is told from a wrong key -------------------------
 */

/* "lethe-root/1 <key, 64 hex> <checksum, 16 hex>\n"; the checksum is the start of the SHA-256 of
 * everything before it. */
#define LINE_HEAD "lethe-root/1 "
#define LINE_CHECK_BYTES 8u
#define LINE_KEY_AT (sizeof LINE_HEAD - 1)
#define LINE_CHECK_AT (LINE_KEY_AT + 2 * ROOT_KEY_BYTES + 1)
#define LINE_BYTES (LINE_CHECK_AT + 2 * LINE_CHECK_BYTES + 1)

static void line_checksum(const char *line, char hex[2 * LINE_CHECK_BYTES + 1])
{
    uint8_t digest[SHA256_BYTES];
    sha256(line, LINE_CHECK_AT, digest);
    hex_encode(digest, LINE_CHECK_BYTES, hex);
}

/* The text is as secret as the key: it never leaves guarded memory on its way to the file. */
static lethe_result write_file(const struct root_spec *spec, const struct lethe_secret *key,
                               struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *text = NULL;
    TRY(lethe_secret_create(LINE_BYTES + 1, &text, err));
    char *line = (char *)lethe_secret_bytes(text);
    memcpy(line, LINE_HEAD, LINE_KEY_AT);
    hex_encode(lethe_secret_bytes_const(key), ROOT_KEY_BYTES, line + LINE_KEY_AT);
    line[LINE_CHECK_AT - 1] = ' ';
    line_checksum(line, line + LINE_CHECK_AT);
    line[LINE_BYTES - 1] = '\n';
    lethe_result result =
        file_write_atomic(AT_FDCWD, spec->where, line, LINE_BYTES, 0600, false, err);
    if (result == LETHE_EXISTS)
        error_hint(err, "another home may depend on it: name another file, or remove it if not");
    return result;
}

static lethe_result make_file(const struct root_spec *spec, const struct random_source *random,
                              struct lethe_secret **out, struct lethe_error *err)
{
    TRY(lethe_secret_create(ROOT_KEY_BYTES, out, err));
    if (random_fill(random, lethe_secret_bytes(*out), ROOT_KEY_BYTES) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "there is no randomness for a root key");
    return write_file(spec, *out, err);
}

static lethe_result read_file(const struct root_spec *spec, struct lethe_secret **out,
                              struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *text = NULL;
    lethe_result result = secret_file_read(spec->where, &text, err);
    if (result == LETHE_UNAVAILABLE)
        error_hint(err, "bring the root file back, from its disk or from a backup");
    TRY(result);
    const char *line = (const char *)lethe_secret_bytes_const(text);
    char checksum[2 * LINE_CHECK_BYTES + 1];
    bool good = lethe_secret_size(text) == LINE_BYTES &&
                memcmp(line, LINE_HEAD, LINE_KEY_AT) == 0 && line[LINE_CHECK_AT - 1] == ' ' &&
                line[LINE_BYTES - 1] == '\n';
    if (good) {
        line_checksum(line, checksum);
        good = memcmp(line + LINE_CHECK_AT, checksum, 2 * LINE_CHECK_BYTES) == 0;
    }
    TRY(lethe_secret_create(ROOT_KEY_BYTES, out, err));
    if (good && hex_decode(line + LINE_KEY_AT, 2 * ROOT_KEY_BYTES, lethe_secret_bytes(*out),
                           ROOT_KEY_BYTES) == LETHE_OK)
        return LETHE_OK;
    error_set(err, LETHE_INTEGRITY, "the root file %s is damaged: it is not what was written",
              spec->where);
    error_hint(err, "put back a copy of it; the store is not to blame");
    return LETHE_INTEGRITY;
}

/* ---- the other kinds ------------------------------------------------------------------------- */

static lethe_result make_passphrase(const struct root_spec *spec,
                                    const struct random_source *random, struct lethe_secret **out,
                                    struct lethe_error *err)
{
    return secret_passphrase_read(spec->passphrase_fd, true, out, err);
}

static lethe_result read_passphrase(const struct root_spec *spec, struct lethe_secret **out,
                                    struct lethe_error *err)
{
    return secret_passphrase_read(spec->passphrase_fd, false, out, err);
}

static lethe_result read_credential(const struct root_spec *spec, struct lethe_secret **out,
                                    struct lethe_error *err)
{
    TRY(secret_credential_read(spec->where, out, err));
    if (lethe_secret_size(*out) >= CREDENTIAL_MIN_BYTES)
        return LETHE_OK;
    error_set(err, LETHE_INVALID, "the credential %s has fewer than %u bytes", spec->where,
              CREDENTIAL_MIN_BYTES);
    error_hint(err, "a good one: head -c 32 /dev/urandom | base64 | systemd-creds encrypt - FILE");
    return LETHE_INVALID;
}

static lethe_result make_credential(const struct root_spec *spec,
                                    const struct random_source *random, struct lethe_secret **out,
                                    struct lethe_error *err)
{
    return read_credential(spec, out, err);
}

/* On failure *out may be set; the caller frees it. */
static const struct {
    lethe_result (*make)(const struct root_spec *spec, const struct random_source *random,
                         struct lethe_secret **out, struct lethe_error *err);
    lethe_result (*read)(const struct root_spec *spec, struct lethe_secret **out,
                         struct lethe_error *err);
    bool stretched;    /* by scrypt */
    const char *about; /* what copying it would mean */
} kinds[] = {
    [ROOT_FILE] =
        {make_file, read_file, false,
         "Whoever has this file and a copy of the home has every key: keep it on another\n"
         "disk, or at least out of the home's backups, and keep a copy: without it the\n"
         "home cannot be opened."},
    [ROOT_PASSPHRASE] = {make_passphrase, read_passphrase, true,
                         "A copy of the home can be attacked by guessing: only the passphrase's\n"
                         "strength protects it. Without it the home cannot be opened."},
    [ROOT_CREDENTIAL] = {make_credential, read_credential, false,
                         "Whoever can have systemd decrypt this credential, and has a copy of the\n"
                         "home, has every key. Without it the home cannot be opened."},
};

/* ---- names ----------------------------------------------------------------------------------- */

/* A file's name is kept, so it must mean the same wherever a command is started. */
static lethe_result take_path(const char *path, struct root_spec *out, struct lethe_error *err)
{
    char directory[sizeof out->where] = "";
    bool relative = path[0] != '/';
    if (relative && getcwd(directory, sizeof directory) == NULL)
        return error_from_errno(err, "finding the current directory");
    int length =
        snprintf(out->where, sizeof out->where, "%s%s%s", directory, relative ? "/" : "", path);
    if (path[0] == '\0' || length < 0 || (size_t)length >= sizeof out->where)
        return error_set(err, LETHE_INVALID, "the root file's path has 1 to %zu bytes",
                         sizeof out->where - 1);
    out->kind = ROOT_FILE;
    return LETHE_OK;
}

static lethe_result take_credential(const char *name, struct root_spec *out,
                                    struct lethe_error *err)
{
    TRY(validate_identifier("a credential's name", name, IDENTIFIER_MAX, err));
    memcpy(out->where, name, strlen(name) + 1);
    out->kind = ROOT_CREDENTIAL;
    return LETHE_OK;
}

lethe_result root_parse(const char *text, struct root_spec *out, struct lethe_error *err)
{
    static const char file[] = "file:";
    static const char credential[] = "credential:";
    *out = (struct root_spec){.kind = ROOT_PASSPHRASE, .passphrase_fd = -1};
    if (strcmp(text, root_kind_name(ROOT_PASSPHRASE)) == 0)
        return LETHE_OK;
    if (strncmp(text, file, strlen(file)) == 0)
        return take_path(text + strlen(file), out, err);
    if (strncmp(text, credential, strlen(credential)) == 0)
        return take_credential(text + strlen(credential), out, err);
    return error_set(err, LETHE_INVALID,
                     "a root is \"file:PATH\", \"passphrase\" or \"credential:NAME\"");
}

lethe_result root_locate(const struct root_spec *spec, char **out, struct lethe_error *err)
{
    *out = NULL;
    if (spec->kind == ROOT_PASSPHRASE)
        return LETHE_OK;
    if (spec->kind == ROOT_CREDENTIAL)
        return secret_credential_path(spec->where, out, err);
    *out = strdup(spec->where);
    return *out != NULL ? LETHE_OK : error_set(err, LETHE_NO_MEMORY, "no memory for a path");
}

void root_describe(const struct root_spec *spec, struct buffer *out)
{
    const char *kind = root_kind_name(spec->kind);
    if (spec->kind == ROOT_PASSPHRASE)
        buffer_format(out, "Root:         a %s\n", kind);
    else
        buffer_format(out, "Root:         %s %s\n", kind, spec->where);
    buffer_text(out, kinds[spec->kind].about);
}

/* ---- wrapping the store key ------------------------------------------------------------------ */

static lethe_result stretch(const struct root_record *record, const struct lethe_secret *passphrase,
                            struct lethe_secret **out, struct lethe_error *err)
{
    if (record->log2_n > COST_LOG2_N_MAX || record->r > COST_RP_MAX || record->p > COST_RP_MAX)
        return error_set(err, LETHE_INTEGRITY,
                         "the store's record of its root asks for a cost that "
                         "no root has");
    TRY(lethe_secret_create(ROOT_KEY_BYTES, out, err));
    const struct scrypt_input input = {
        .passphrase = passphrase,
        .salt = record->salt,
        .salt_bytes = sizeof record->salt,
        .log2_n = record->log2_n,
        .r = record->r,
        .p = record->p,
    };
    return scrypt(&input, *out, err);
}

/* The key that wraps, from what the root gave. */
static lethe_result wrapping_key(const struct root_record *record,
                                 const struct lethe_secret *material, struct aead_key **out,
                                 struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *stretched = NULL;
    CLEANUP(lethe_secret_free) struct lethe_secret *derived = NULL;
    if (kinds[record->spec.kind].stretched) {
        TRY(stretch(record, material, &stretched, err));
        material = stretched;
    }
    TRY(lethe_secret_create(AEAD_KEY_BYTES, &derived, err));
    const struct hkdf_input input = {
        .hash = HKDF_SHA256,
        .key = lethe_secret_bytes_const(material),
        .key_bytes = lethe_secret_size(material),
        .salt = record->salt,
        .salt_bytes = sizeof record->salt,
        .info = WRAP_DOMAIN,
        .info_bytes = strlen(WRAP_DOMAIN),
    };
    TRY(hkdf(&input, lethe_secret_bytes(derived), AEAD_KEY_BYTES, err));
    return aead_key_create(lethe_secret_bytes_const(derived), AEAD_KEY_BYTES, AEAD_BACKEND_BEST,
                           out, err);
}

static lethe_result seal_store_key(struct root_record *record, const struct lethe_secret *material,
                                   const struct lethe_secret *store_key, struct lethe_error *err)
{
    CLEANUP(aead_key_free) struct aead_key *key = NULL;
    CLEANUP(buffer_clear) struct buffer aad = {0};
    TRY(wrapping_key(record, material, &key, err));
    root_record_binding(record, &aad);
    TRY(buffer_result(&aad, err));
    const struct aead_message message = {
        .nonce = record->sealed,
        .aad = aad.bytes,
        .aad_bytes = aad.size_bytes,
        .in = lethe_secret_bytes_const(store_key),
        .out = record->sealed + AEAD_NONCE_BYTES,
        .size_bytes = ROOT_KEY_BYTES,
    };
    lethe_result result =
        aead_seal(key, &message, record->sealed + AEAD_NONCE_BYTES + ROOT_KEY_BYTES);
    return result == LETHE_OK ? result
                              : error_set(err, result, "the store key could not be wrapped");
}

static lethe_result unseal_store_key(const struct root_record *record,
                                     const struct lethe_secret *material, struct lethe_secret **out,
                                     struct lethe_error *err)
{
    CLEANUP(aead_key_free) struct aead_key *key = NULL;
    CLEANUP(buffer_clear) struct buffer aad = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *store_key = NULL;
    TRY(wrapping_key(record, material, &key, err));
    root_record_binding(record, &aad);
    TRY(buffer_result(&aad, err));
    TRY(lethe_secret_create(ROOT_KEY_BYTES, &store_key, err));
    const struct aead_message message = {
        .nonce = record->sealed,
        .aad = aad.bytes,
        .aad_bytes = aad.size_bytes,
        .in = record->sealed + AEAD_NONCE_BYTES,
        .out = lethe_secret_bytes(store_key),
        .size_bytes = ROOT_KEY_BYTES,
    };
    if (aead_open(key, &message, record->sealed + AEAD_NONCE_BYTES + ROOT_KEY_BYTES) != LETHE_OK)
        return error_set(err, LETHE_DENIED,
                         record->spec.kind == ROOT_PASSPHRASE
                             ? "the passphrase does not open this home"
                             : "this root belongs to another home: it does not open this one");
    *out = MOVE(store_key);
    return LETHE_OK;
}

/* ---- making and opening ---------------------------------------------------------------------- */

static lethe_result draw(const struct random_source *random, struct root_record *record,
                         struct lethe_secret *store_key, struct lethe_error *err)
{
    const struct {
        void *bytes;
        size_t size_bytes;
    } drawn[] = {{record->salt, sizeof record->salt},
                 {record->sealed, AEAD_NONCE_BYTES},
                 {lethe_secret_bytes(store_key), ROOT_KEY_BYTES}};
    for (size_t i = 0; i < ARRAY_LEN(drawn); i++) {
        if (random_fill(random, drawn[i].bytes, drawn[i].size_bytes) != LETHE_OK)
            return error_set(err, LETHE_FAILED, "there is no randomness for a store key");
    }
    return LETHE_OK;
}

lethe_result root_create(const struct root_spec *spec, const struct random_source *random,
                         struct buffer *record, struct lethe_secret **store_key,
                         struct lethe_error *err)
{
    *store_key = NULL;
    struct root_record made = {.spec = *spec};
    if (kinds[spec->kind].stretched) {
        made.log2_n = COST_LOG2_N;
        made.r = COST_R;
        made.p = COST_P;
    }
    CLEANUP(lethe_secret_free) struct lethe_secret *material = NULL;
    CLEANUP(lethe_secret_free) struct lethe_secret *drawn = NULL;
    TRY(lethe_secret_create(ROOT_KEY_BYTES, &drawn, err));
    TRY(draw(random, &made, drawn, err));
    TRY(kinds[spec->kind].make(spec, random, &material, err));
    lethe_result result = seal_store_key(&made, material, drawn, err);
    if (result == LETHE_OK) {
        root_record_append(&made, record);
        result = buffer_result(record, err);
    }
    if (result != LETHE_OK)
        root_remove(spec);
    else
        *store_key = MOVE(drawn);
    return result;
}

void root_remove(const struct root_spec *spec)
{
    if (spec->kind == ROOT_FILE)
        unlink(spec->where);
}

lethe_result root_open(const struct buffer *record, int passphrase_fd, struct root_spec *spec,
                       struct lethe_secret **store_key, struct lethe_error *err)
{
    *store_key = NULL;
    struct root_record kept;
    TRY(root_record_parse(record->bytes, record->size_bytes, &kept, err));
    kept.spec.passphrase_fd = passphrase_fd;
    CLEANUP(lethe_secret_free) struct lethe_secret *material = NULL;
    TRY(kinds[kept.spec.kind].read(&kept.spec, &material, err));
    TRY(unseal_store_key(&kept, material, store_key, err));
    *spec = kept.spec;
    return LETHE_OK;
}
