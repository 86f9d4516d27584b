/* Opening a record with its root. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "kms/root_core.h"
#include "kms/secret_file.h"

void root_free(struct root *root)
{
    if (root == NULL)
        return;
    lethe_region_free(root->kept);
    free(root);
}

const struct root_spec *root_spec(const struct root *root)
{
    return &root->record.spec;
}

static lethe_result keep(struct root *root, const struct lethe_secret *stretched,
                         struct lethe_error *err)
{
    const struct lethe_region_options options = {.class_ = LETHE_CLASS_KEY,
                                                 .label = {.id = "root"}};
    TRY(lethe_region_create(ROOT_KEY_BYTES, &options, &root->kept, err));
    lethe_region_open(root->kept);
    memcpy(lethe_region_bytes(root->kept), lethe_secret_bytes_const(stretched), ROOT_KEY_BYTES);
    lethe_region_close(root->kept);
    return LETHE_OK;
}

static lethe_result ask(struct root *root, int passphrase_fd, struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *passphrase = NULL;
    CLEANUP(lethe_secret_free) struct lethe_secret *stretched = NULL;
    root->record.spec.passphrase_fd = passphrase_fd;
    TRY(secret_passphrase_read(passphrase_fd, false, &passphrase, err));
    TRY(root_stretch(&root->record, passphrase, &stretched, err));
    return keep(root, stretched, err);
}

lethe_result root_read(const struct buffer *record, int passphrase_fd, struct root **out,
                       struct lethe_error *err)
{
    *out = NULL;
    CLEANUP(root_free) struct root *root = calloc(1, sizeof *root);
    if (root == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a root");
    TRY(root_record_parse(record->bytes, record->size_bytes, &root->record, err));
    if (root->record.spec.kind == ROOT_PASSPHRASE)
        TRY(ask(root, passphrase_fd, err));
    *out = MOVE(root);
    return LETHE_OK;
}

static lethe_result unseal_with_passphrase(struct root *root, const struct root_record *record,
                                           struct lethe_secret **store_key, struct lethe_error *err)
{
    lethe_region_open(root->kept);
    const struct root_material material = {lethe_region_bytes(root->kept), ROOT_KEY_BYTES};
    lethe_result result = root_unseal(record, material, store_key, err);
    lethe_region_close(root->kept);
    return result == LETHE_DENIED
               ? error_set(err, LETHE_DENIED, "the passphrase does not open this home")
               : result;
}

static lethe_result unseal_with_material(const struct root_record *record,
                                         struct lethe_secret **store_key, struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *given = NULL;
    TRY(root_read_material(record, &given, err));
    lethe_result result = root_unseal(record, root_material_of(given), store_key, err);
    return result == LETHE_DENIED
               ? error_set(err, LETHE_DENIED,
                           "this root belongs to another home: it does not open this one")
               : result;
}

/* Neither line opens the record. Which of the two is older tells what was put back. */
static lethe_result refuse_file(const struct root_record *record, const struct root_lines *lines,
                                struct lethe_error *err)
{
    uint64_t newest = MAX(lines->at[0].generation, lines->at[1].generation);
    if (record->generation < newest) {
        error_set(err, LETHE_INTEGRITY,
                  "an old store was put back: the root key was changed since it was made");
        error_hint(err, "put back the newest store.db; keys made since the old one are not in it");
        return LETHE_INTEGRITY;
    }
    if (record->generation > newest) {
        error_set(err, LETHE_INTEGRITY,
                  "the root file %s is an old copy: the root key was changed since",
                  record->spec.where);
        error_hint(err, "put back a copy that was made after the change");
        return LETHE_INTEGRITY;
    }
    return error_set(err, LETHE_DENIED,
                     "this root belongs to another home: it does not open this one");
}

lethe_result root_unseal_with_file(const struct root_record *record, struct root_lines *lines,
                                   size_t *which, struct lethe_secret **store_key,
                                   struct lethe_error *err)
{
    TRY(root_file_read(record->spec.where, lines, err));
    for (*which = 0; *which < ARRAY_LEN(lines->at); ++*which) {
        const struct lethe_secret *key = lines->at[*which].key;
        if (key == NULL)
            continue;
        lethe_result result = root_unseal(record, root_material_of(key), store_key, err);
        if (result != LETHE_DENIED)
            return result;
    }
    return refuse_file(record, lines, err);
}

/* Another process may just cut the second line off: then the file is looked at once more. */
static lethe_result unseal_from_file(const struct root_record *record,
                                     struct lethe_secret **store_key, struct lethe_error *err)
{
    lethe_result result = LETHE_OK;
    for (int attempt = 0; attempt < 2; attempt++) {
        CLEANUP(root_lines_clear) struct root_lines lines = {0};
        size_t which;
        result = root_unseal_with_file(record, &lines, &which, store_key, err);
        if (result != LETHE_INTEGRITY)
            break;
    }
    return result;
}

static lethe_result unseal(struct root *root, const struct root_record *record,
                           struct lethe_secret **store_key, struct lethe_error *err)
{
    switch (record->spec.kind) {
    case ROOT_FILE:
        return unseal_from_file(record, store_key, err);
    case ROOT_PASSPHRASE:
        return unseal_with_passphrase(root, record, store_key, err);
    case ROOT_PKCS11:
        return root_unseal(record, (struct root_material){0}, store_key, err);
    case ROOT_CREDENTIAL:
    case ROOT_TPM2:
        break;
    }
    return unseal_with_material(record, store_key, err);
}

lethe_result root_unwrap(struct root *root, const struct buffer *bytes,
                         struct lethe_secret **store_key, struct lethe_error *err)
{
    struct root_record record;
    *store_key = NULL;
    TRY(root_record_parse(bytes->bytes, bytes->size_bytes, &record, err));
    if (record.spec.kind != root->record.spec.kind)
        return error_set(err, LETHE_INTEGRITY, "the store has got a root of another kind");
    TRY(unseal(root, &record, store_key, err));
    root->record = record;
    root->has_opened = true;
    return LETHE_OK;
}
