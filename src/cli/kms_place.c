#include "cli/kms_place.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "service/authority.h"

lethe_result kms_place_locate(const struct invocation *invocation, struct kms_place *out,
                              struct lethe_error *err)
{
    *out = (struct kms_place){0};
    TRY(home_locate(NULL, &out->paths, err));
    out->admin_path = path_join(out->paths.run, "admin.sock");
    out->ca_path = path_join(out->paths.directory, "ca.pem");
    if (out->admin_path == NULL || out->ca_path == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a path");
    return common_kms_configuration(invocation, &out->configuration, err);
}

static lethe_result read_node(struct kms_place *place, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    TRY(file_read_all(AT_FDCWD, place->paths.node, NAME_PART_MAX + 1, &text, err));
    size_t length = text.size_bytes == 0 ? 0 : strcspn(text.bytes, "\n");
    if (length == 0 || length > NAME_PART_MAX)
        return error_set(err, LETHE_INTEGRITY, "%s is not a node's name", place->paths.node);
    memcpy(place->node, text.bytes, length);
    place->node[length] = '\0';
    return validate_identifier("the node's name", place->node, NAME_PART_MAX, err);
}

static const char **add_file(const char **to, const char *path)
{
    if (path[0] != '\0')
        *to++ = path;
    return to;
}

/* What the root names itself, and what kms.conf says that its library needs. */
static lethe_result find_device(struct kms_place *place, struct lethe_error *err)
{
    const struct conf_list *files = &place->configuration.root_files;
    TRY(root_places(&place->root, &place->root_places, err));
    const char **readable = add_file(place->root_readable, place->root_places.library);
    (void)add_file(readable, place->root_places.pin);
    const char **writable = add_file(place->root_writable, place->root_places.device);
    for (size_t i = 0; i < files->count; i++)
        writable = add_file(writable, files->at[i]);
    place->serve.root_is_device = true;
    place->serve.root_readable = place->root_readable;
    place->serve.root_writable = place->root_writable;
    return LETHE_OK;
}

/* A root file is replaced when it changes: its directory is what the keeper needs. */
static lethe_result find_root(struct kms_place *place, struct lethe_error *err)
{
    TRY(keeper_peek_root(place->paths.store, &place->root, err));
    if (place->root.kind == ROOT_PKCS11 || place->root.kind == ROOT_TPM2)
        return find_device(place, err);
    if (place->root.kind != ROOT_FILE)
        return LETHE_OK;
    const char *slash = strrchr(place->root.where, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - place->root.where);
    if (length == 0 || length >= sizeof place->root_directory)
        return error_set(err, LETHE_INVALID, "the root file is no file in a directory");
    memcpy(place->root_directory, place->root.where, length);
    place->serve.root_path = place->root_directory;
    return LETHE_OK;
}

static const char **end_of(const char **list)
{
    while (*list != NULL)
        list++;
    return list;
}

/* What the keeper proves its own machine with: opened when it is asked for, when nothing else can
 * be opened any more. */
static lethe_result find_evidence(struct kms_place *place, struct lethe_error *err)
{
    static const char guest_reports[] = "/sys/kernel/config/tsm/report";
    struct evidence_options *own = &place->serve.service.attest.own;
    struct root_spec tpm = {.kind = ROOT_TPM2};
    place->attest_key_path = path_join(place->paths.directory, "attest.key");
    if (place->attest_key_path == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a path");
    own->key_path = place->attest_key_path;
    place->serve.root_readable = place->root_readable;
    place->serve.root_writable = place->root_writable;
    if (own->kind == ATTEST_SEV_SNP) {
        *end_of(place->root_writable) = guest_reports;
        if (own->vek_path != NULL)
            *end_of(place->root_readable) = own->vek_path;
        return LETHE_OK;
    }
    place->serve.root_is_device = true;
    if (own->tcti == NULL)
        return LETHE_OK;
    snprintf(tpm.where, sizeof tpm.where, "@%s", own->tcti);
    TRY(root_places(&tpm, &place->attest_places, err));
    (void)add_file(end_of(place->root_writable), place->attest_places.device);
    return LETHE_OK;
}

static lethe_result check_private(const struct kms_place *place, struct lethe_error *err)
{
    struct stat status;
    if (stat(place->paths.directory, &status) != 0)
        return error_from_errno(err, "%s", place->paths.directory);
    return file_check_private(place->paths.directory, &status, err);
}

static lethe_result require_home(const struct kms_place *place, struct lethe_error *err)
{
    bool is_there;
    TRY(home_look(&place->paths, &is_there, err));
    if (is_there)
        return LETHE_OK;
    error_set(err, LETHE_NOT_FOUND, "there is no home at %s", place->paths.directory);
    error_hint(err, "lethe kms init; or lethe kms serve --dev, to try it");
    return LETHE_NOT_FOUND;
}

lethe_result kms_place_fill(struct kms_place *place, struct lethe_error *err)
{
    TRY(require_home(place, err));
    TRY(read_node(place, err));
    TRY(find_root(place, err));
    snprintf(place->actor, sizeof place->actor, "uid:%u", (unsigned)geteuid());
    serve_configuration_apply(&place->configuration, place->names, &place->serve);
    if (place->serve.service.attest.proves)
        TRY(find_evidence(place, err));
    place->serve.home = place->paths.directory;
    place->serve.admin_path = place->admin_path;
    struct keeper_options *keeper = &place->serve.service.keeper;
    keeper->store_path = place->paths.store;
    keeper->audit_directory = place->paths.audit;
    keeper->lock_path = place->paths.lock;
    keeper->node = place->node;
    keeper->actor = place->actor;
    keeper->passphrase_fd = -1;
    return check_private(place, err);
}

void kms_place_clear(struct kms_place *place)
{
    home_paths_clear(&place->paths);
    free(place->admin_path);
    free(place->ca_path);
    place->admin_path = NULL;
    place->ca_path = NULL;
    free(MOVE(place->attest_key_path));
}

lethe_result kms_write_ca(const struct kms_place *place, struct service *service,
                          struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer pem = {0};
    struct authority_view view;
    TRY(authority_view(service->authority, AUTHORITY_IDENTITIES, &view, err));
    for (size_t at = 0; at + 4 <= view.roots_bytes;) {
        const uint8_t *length = view.roots + at;
        size_t size_bytes = (size_t)length[0] | (size_t)length[1] << 8 | (size_t)length[2] << 16;
        x509_pem_append(X509_PEM_CERTIFICATE, length + 4, size_bytes, &pem);
        at += 4 + size_bytes;
    }
    TRY(buffer_result(&pem, err));
    return file_write_atomic(AT_FDCWD, place->ca_path, pem.bytes, pem.size_bytes, 0644, true, err);
}
