#include "kms/root_core.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/validate.h"
#include "kms/secret_file.h"

/* scrypt for interactive use: 128 MiB and a third of a second (RFC 7914; OWASP's first choice). */
#define COST_LOG2_N 17
#define COST_R 8
#define COST_P 1

/* A credential is used as it is, not stretched, so it must be a key and not a word. */
#define CREDENTIAL_MIN_BYTES 32u

/* ---- files ----------------------------------------------------------------------------------- */

static lethe_result make_file(struct root_record *record, const struct random_source *random,
                              struct lethe_secret **out, struct lethe_error *err)
{
    TRY(lethe_secret_create(ROOT_KEY_BYTES, out, err));
    if (random_fill(random, lethe_secret_bytes(*out), ROOT_KEY_BYTES) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "there is no randomness for a root key");
    return root_file_create(record->spec.where, *out, err);
}

/* ---- the other kinds ------------------------------------------------------------------------- */

static lethe_result make_passphrase(struct root_record *record, const struct random_source *random,
                                    struct lethe_secret **out, struct lethe_error *err)
{
    return secret_passphrase_read(record->spec.passphrase_fd, true, out, err);
}

static lethe_result read_credential(const struct root_record *record, struct lethe_secret **out,
                                    struct lethe_error *err)
{
    TRY(secret_credential_read(record->spec.where, out, err));
    if (lethe_secret_size(*out) >= CREDENTIAL_MIN_BYTES)
        return LETHE_OK;
    error_set(err, LETHE_INVALID, "the credential %s has fewer than %u bytes", record->spec.where,
              CREDENTIAL_MIN_BYTES);
    error_hint(err, "a good one: head -c 32 /dev/urandom | base64 | systemd-creds encrypt - FILE");
    return LETHE_INVALID;
}

static lethe_result make_credential(struct root_record *record, const struct random_source *random,
                                    struct lethe_secret **out, struct lethe_error *err)
{
    return read_credential(record, out, err);
}

/* The store key is sealed in the token itself: nothing comes out of it. */
static lethe_result make_in_token(struct root_record *record, const struct random_source *random,
                                  struct lethe_secret **out, struct lethe_error *err)
{
    *out = NULL;
    return root_pkcs11_make(record->spec.where, err);
}

static lethe_result make_in_tpm(struct root_record *record, const struct random_source *random,
                                struct lethe_secret **out, struct lethe_error *err)
{
    TRY(lethe_secret_create(ROOT_KEY_BYTES, out, err));
    if (random_fill(random, lethe_secret_bytes(*out), ROOT_KEY_BYTES) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "there is no randomness for a root key");
    return root_tpm2_seal(record, *out, err);
}

/* On failure *out may be set; the caller frees it. A file is read by the line, elsewhere. */
static const struct {
    lethe_result (*make)(struct root_record *record, const struct random_source *random,
                         struct lethe_secret **out, struct lethe_error *err);
    lethe_result (*read)(const struct root_record *record, struct lethe_secret **out,
                         struct lethe_error *err);
    bool stretched;    /* by scrypt */
    const char *stays; /* what opens older copies of the store after a change; NULL: nothing */
    const char *about; /* what copying it would mean */
} kinds[] = {
    [ROOT_FILE] =
        {make_file, NULL, false, NULL,
         "Whoever has this file and a copy of the home has every key: keep it on another\n"
         "disk, or at least out of the home's backups, and keep a copy: without it the\n"
         "home cannot be opened."},
    [ROOT_PASSPHRASE] = {make_passphrase, NULL, true,
                         "the passphrase still opens older copies of store.db",
                         "A copy of the home can be attacked by guessing: only the passphrase's\n"
                         "strength protects it. Without it the home cannot be opened."},
    [ROOT_CREDENTIAL] = {make_credential, read_credential, false,
                         "the credential still opens older copies of store.db",
                         "Whoever can have systemd decrypt this credential, and has a copy of the\n"
                         "home, has every key. Without it the home cannot be opened."},
    [ROOT_PKCS11] =
        {make_in_token, NULL, false, "the key in the token still opens older copies of store.db",
         "The key cannot be copied out of the token. Whoever can use the token (PIN), and\n"
         "has a copy of the home, has every key. Without it the home cannot be opened."},
    [ROOT_TPM2] =
        {make_in_tpm, root_tpm2_unseal, false, "the TPM still opens older copies of store.db",
         "A copy of the home is of no use on another machine. Whoever controls this one (in\n"
         "the state that its PCRs were in, where they were named) has every key. When the\n"
         "TPM is cleared or lost, the home cannot be opened: keep a backup (lethe kms backup)."},
};

const char *root_stays(enum root_kind kind)
{
    return kinds[kind].stays;
}

lethe_result root_read_material(const struct root_record *record, struct lethe_secret **out,
                                struct lethe_error *err)
{
    *out = NULL;
    REQUIRE(kinds[record->spec.kind].read != NULL);
    return kinds[record->spec.kind].read(record, out, err);
}

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

static lethe_result take_hardware(const char *where, enum root_kind kind, struct root_spec *out,
                                  struct lethe_error *err)
{
    if (strlen(where) >= sizeof out->where)
        return error_set(err, LETHE_INVALID, "what names the root has at most %zu bytes",
                         sizeof out->where - 1);
    strcpy(out->where, where);
    out->kind = kind;
    return LETHE_OK;
}

/* The scheme belongs to the URI. */
static lethe_result take_uri(const char *uri, struct root_spec *out, struct lethe_error *err)
{
    TRY(root_pkcs11_check(uri, err));
    return take_hardware(uri, ROOT_PKCS11, out, err);
}

static lethe_result take_tpm(const char *where, struct root_spec *out, struct lethe_error *err)
{
    TRY(root_tpm2_check(where, err));
    return take_hardware(where, ROOT_TPM2, out, err);
}

lethe_result root_parse(const char *text, struct root_spec *out, struct lethe_error *err)
{
    static const struct {
        const char *prefix;
        lethe_result (*take)(const char *rest, struct root_spec *out, struct lethe_error *err);
        bool with_prefix;
    } forms[] = {
        {"file:", take_path, false},
        {"credential:", take_credential, false},
        {"pkcs11:", take_uri, true},
        {"tpm2:", take_tpm, false},
    };
    *out = (struct root_spec){.kind = ROOT_PASSPHRASE, .passphrase_fd = -1};
    if (strcmp(text, root_kind_name(ROOT_PASSPHRASE)) == 0)
        return LETHE_OK;
    if (strcmp(text, root_kind_name(ROOT_TPM2)) == 0)
        return take_tpm("", out, err);
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        size_t length = strlen(forms[i].prefix);
        if (strncmp(text, forms[i].prefix, length) == 0)
            return forms[i].take(text + (forms[i].with_prefix ? 0 : length), out, err);
    }
    return error_set(err, LETHE_INVALID,
                     "a root is \"file:PATH\", \"passphrase\", \"credential:NAME\", "
                     "\"pkcs11:URI\" or \"tpm2[:[PCRS][@TPM]]\"");
}

lethe_result root_locate(const struct root_spec *spec, char **out, struct lethe_error *err)
{
    *out = NULL;
    if (spec->kind == ROOT_CREDENTIAL)
        return secret_credential_path(spec->where, out, err);
    if (spec->kind != ROOT_FILE)
        return LETHE_OK;
    *out = strdup(spec->where);
    return *out != NULL ? LETHE_OK : error_set(err, LETHE_NO_MEMORY, "no memory for a path");
}

void root_describe(const struct root_spec *spec, struct buffer *out)
{
    const char *kind = root_kind_name(spec->kind);
    if (spec->where[0] == '\0')
        buffer_format(out, "Root:         a %s\n", kind);
    else
        buffer_format(out, "Root:         %s %s\n", kind, spec->where);
    buffer_text(out, kinds[spec->kind].about);
}

/* ---- making ---------------------------------------------------------------------------------- */

static lethe_result wrap_first(struct root_record *record, const struct lethe_secret *given,
                               const struct random_source *random, struct buffer *bytes,
                               struct lethe_secret **store_key, struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *stretched = NULL;
    if (kinds[record->spec.kind].stretched) {
        TRY(root_stretch(record, given, &stretched, err));
        given = stretched;
    }
    const struct root_material material =
        given != NULL ? root_material_of(given) : (struct root_material){0};
    return root_wrap_fresh(record, material, random, bytes, store_key, err);
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
    CLEANUP(lethe_secret_free) struct lethe_secret *given = NULL;
    TRY(root_draw(random, made.salt, sizeof made.salt, err));
    TRY(kinds[spec->kind].make(&made, random, &given, err));
    lethe_result result = wrap_first(&made, given, random, record, store_key, err);
    if (result != LETHE_OK)
        root_remove(spec);
    return result;
}

void root_remove(const struct root_spec *spec)
{
    if (spec->kind == ROOT_FILE)
        unlink(spec->where);
}
