#include "service/serve_files.h"

#include <fcntl.h>
#include <string.h>

#include "base/cursor.h"
#include "base/error.h"
#include "base/file.h"
#include "crypto/x509.h"

#define PEM_MAX ((size_t)256 << 10)

/* A key never passes through memory that is not guarded. */
static lethe_result read_key(const char *path, struct lethe_secret **out, struct lethe_error *err)
{
    struct stat status;
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) != 0)
        return error_from_errno(err, "%s", path);
    if (!S_ISREG(status.st_mode) || status.st_size < 1 || status.st_size > LETHE_SECRET_MAX_BYTES)
        return error_set(err, LETHE_MALFORMED, "%s: expected a file with one private key", path);
    TRY(file_check_private(path, &status, err));
    TRY(lethe_secret_create((size_t)status.st_size, &key, err));
    TRY(file_read_at(fd, path, 0, lethe_secret_bytes(key), (size_t)status.st_size, err));
    *out = MOVE(key);
    return LETHE_OK;
}

lethe_result serve_files_context(const struct serve_files *files, struct tls_context **out,
                                 struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer chain = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    TRY(file_read_all(AT_FDCWD, files->certificate_path, PEM_MAX, &chain, err));
    TRY(buffer_result(&chain, err));
    TRY(read_key(files->key_path, &key, err));
    const struct tls_options options = {.certificates_pem = chain.bytes == NULL ? "" : chain.bytes,
                                        .key_pem = key,
                                        .roots_pem = files->roots_pem,
                                        .crls_pem = files->crls_pem,
                                        .client_proof = files->client_proof};
    return error_context(err, tls_server_create(&options, out, err), "%s and %s",
                         files->certificate_path, files->key_path);
}

/* In the form of crypto/x509.h: each can be read. */
static lethe_result check_certificates(const struct buffer *blocks, struct lethe_error *err)
{
    struct cursor cursor = cursor_over(blocks->bytes, blocks->size_bytes);
    while (cursor_left(&cursor) > 0) {
        uint32_t size_bytes;
        const uint8_t *der;
        struct x509_summary summary = {0};
        TRY(cursor_le32(&cursor, &size_bytes));
        TRY(cursor_bytes(&cursor, size_bytes, &der));
        lethe_result result = x509_read(der, size_bytes, &summary, err);
        x509_summary_clear(&summary);
        TRY(result);
    }
    return LETHE_OK;
}

static lethe_result check_blocks(enum x509_pem kind, const char *pem, size_t size_bytes,
                                 struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer blocks = {0};
    TRY(x509_pem_read(kind, pem, size_bytes, &blocks, err));
    return kind == X509_PEM_CERTIFICATE ? check_certificates(&blocks, err) : LETHE_OK;
}

lethe_result serve_files_roots(const char *path, struct buffer *out, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    TRY(file_read_all(AT_FDCWD, path, PEM_MAX, &text, err));
    TRY(error_context(err,
                      check_blocks(X509_PEM_CERTIFICATE, text.bytes == NULL ? "" : text.bytes,
                                   text.size_bytes, err),
                      "%s", path));
    buffer_append(out, text.bytes, text.size_bytes);
    return buffer_result(out, err);
}

/* The words between the dashes of a block. */
static const char *const pem_ends[] = {
    [X509_PEM_CERTIFICATE] = "-----END CERTIFICATE-----",
    [X509_PEM_CRL] = "-----END X509 CRL-----",
};

lethe_result serve_files_pem(const char *path, enum x509_pem kind, struct buffer *out,
                             struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    const char *end = pem_ends[kind];
    TRY(file_read_all(AT_FDCWD, path, PEM_MAX, &text, err));
    const char *at = text.bytes != NULL ? text.bytes : "";
    bool is_text = strlen(at) == text.size_bytes;
    size_t count = 0;
    for (const char *behind; (behind = strstr(at, end)) != NULL; at = behind, count++) {
        behind += strlen(end);
        TRY(error_context(err, check_blocks(kind, at, (size_t)(behind - at), err), "%s", path));
    }
    if (!is_text || count == 0)
        return error_set(err, LETHE_MALFORMED, "%s: expected PEM, with at least one \"%s\"", path,
                         end);
    buffer_append(out, text.bytes, text.size_bytes);
    return buffer_result(out, err);
}
