/* The node's certificate, renewed while it is used: by the one that is still good, for the names
 * that it has. */
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cursor.h"
#include "base/error.h"
#include "base/file.h"
#include "kms/client_core.h"
#include "kms/own_key.h"

#define NS_PER_S 1000000000u
#define TRY_AGAIN_S 60u
#define PATH_SIZE 4096u

/* LETHE_NOT_FOUND: it is no identity's. */
static lethe_result read_leaf(const char *certificates_pem, size_t length,
                              struct x509_summary *leaf)
{
    CLEANUP(buffer_clear) struct buffer chain = {0};
    const uint8_t *der;
    uint32_t size_bytes;
    if (certificates_pem == NULL || length == 0)
        return LETHE_NOT_FOUND;
    TRY(x509_pem_read(X509_PEM_CERTIFICATE, certificates_pem, length - 1, &chain, NULL));
    struct cursor cursor = cursor_over(chain.bytes, chain.size_bytes);
    TRY(cursor_le32(&cursor, &size_bytes));
    TRY(cursor_bytes(&cursor, size_bytes, &der));
    TRY(x509_read(der, size_bytes, leaf, NULL));
    return leaf->subject.uris.count == 1 ? LETHE_OK : LETHE_NOT_FOUND;
}

void client_read_identity(const char *certificates_pem, size_t length, struct spiffe_id *out)
{
    CLEANUP(x509_summary_clear) struct x509_summary leaf = {0};
    if (read_leaf(certificates_pem, length, &leaf) != LETHE_OK ||
        spiffe_parse(leaf.subject.uris.at[0], strlen(leaf.subject.uris.at[0]), out, NULL) !=
            LETHE_OK)
        *out = (struct spiffe_id){0};
}

uint64_t client_renewal_s(const char *certificates_pem, size_t length)
{
    CLEANUP(x509_summary_clear) struct x509_summary leaf = {0};
    if (read_leaf(certificates_pem, length, &leaf) != LETHE_OK || /* nobody here renews it */
        leaf.not_after_s <= leaf.not_before_s)
        return 0;
    return leaf.not_before_s + (leaf.not_after_s - leaf.not_before_s) / 3 * 2;
}

/* One process at a time renews what several use. */
static lethe_result lock_place(const char *path, int *out, struct lethe_error *err)
{
    char directory[PATH_SIZE];
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 0 : MAX((size_t)(slash - path), (size_t)1);
    if (length >= sizeof directory)
        return error_set(err, LETHE_INVALID, "the path of the key is too long");
    memcpy(directory, path, length);
    directory[length] = '\0';
    CLEANUP(fd_close)
    int fd = open(length == 0 ? "." : directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || faccessat(fd, ".", W_OK, AT_EACCESS) != 0 || flock(fd, LOCK_EX | LOCK_NB) != 0)
        return error_from_errno(err, "%s", directory);
    *out = FD_MOVE(fd);
    return LETHE_OK;
}

/* The service names the certificate after the one that it is asked with. */
static lethe_result ask(struct kms_client *client, const struct own_key *key,
                        struct buffer *certificates, struct lethe_error *err)
{
    struct json_piece answer;
    unsigned status;
    guarded_wipe(&client->request);
    client_put_open(&client->request, NULL, '{');
    client_put_text(&client->request, "csr", key->request_pem.bytes);
    client_put_close(&client->request, '}');
    lethe_result result = client_post(client, "lethe/identities/renew", &status, &answer, err);
    if (result == LETHE_OK)
        result = own_key_certificates(&answer, certificates, err);
    client_wipe(client);
    return result;
}

static lethe_result renew(struct kms_client *client, struct lethe_error *err)
{
    static const struct x509_subject nobody = {.common_name = "lethe"};
    const struct client_proof *proof = &client->proof;
    CLEANUP(own_key_clear) struct own_key key = {0};
    CLEANUP(buffer_clear) struct buffer certificates = {0};
    CLEANUP(fd_close) int lock = -1;
    TRY(lock_place(proof->key_path, &lock, err));
    if (client_proof_look(client)) /* another process was faster */
        return LETHE_OK;
    TRY(own_key_make(&nobody, &key, err));
    TRY(ask(client, &key, &certificates, err));
    TRY(own_key_replace(&key, proof->key_path, &certificates, proof->certificate_path, err));
    (void)client_proof_look(client);
    return LETHE_OK;
}

/* A question is being put together when this is called: it is laid aside. */
void client_renew_if_due(struct kms_client *client)
{
    struct client_proof *proof = &client->proof;
    uint64_t now_s = clock_wall_ns(&clock_system) / NS_PER_S;
    if (proof->renew_s == 0 || now_s < proof->renew_s || now_s < proof->try_again_s ||
        proof->is_renewing)
        return;
    struct guarded question = client->request;
    client->request = (struct guarded){0};
    proof->is_renewing = true;
    proof->try_again_s = now_s + TRY_AGAIN_S;
    (void)!renew(client, NULL);
    proof->is_renewing = false;
    guarded_clear(&client->request);
    client->request = question;
}
