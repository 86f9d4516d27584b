#include "kms/own_key.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

void own_key_clear(struct own_key *key)
{
    lethe_secret_free(key->pem);
    buffer_clear(&key->request_pem);
    *key = (struct own_key){0};
}

lethe_result own_key_make(const struct x509_subject *subject, struct own_key *out,
                          struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *private_key = NULL;
    CLEANUP(sign_pair_free) struct sign_pair *pair = NULL;
    CLEANUP(buffer_clear) struct buffer der = {0};
    TRY(sign_generate(SIGNATURE_ECDSA_P256, &private_key, err));
    TRY(sign_pair_create(SIGNATURE_ECDSA_P256, private_key, &pair, err));
    TRY(x509_make_request(subject, pair, &der, err));
    TRY(x509_private_pem(pair, false, &out->pem, err));
    x509_pem_append(X509_PEM_REQUEST, der.bytes, der.size_bytes, &out->request_pem);
    buffer_byte(&out->request_pem, '\0');
    return buffer_result(&out->request_pem, err);
}

lethe_result own_key_certificates(const struct json_piece *answer, struct buffer *out,
                                  struct lethe_error *err)
{
    struct json_piece chain = {0};
    struct json_piece none;
    struct json_piece certificate;
    TRY(client_answer_text(answer, "data/certificate", out, err));
    if (out->size_bytes > 0 && out->bytes[out->size_bytes - 1] != '\n')
        buffer_byte(out, '\n');
    if (json_piece_find(answer, "data/ca_chain", &chain) != LETHE_OK ||
        chain.kind != JSON_PIECE_ARRAY)
        return buffer_result(out, err);
    struct json_walk walk = json_walk_over(&chain);
    while (json_walk_next(&walk, &none, &certificate) == LETHE_OK) {
        size_t length = 0;
        char *at = buffer_extend(out, certificate.length + 1);
        TRY(buffer_result(out, err));
        if (json_piece_text(&certificate, at, certificate.length, &length) != LETHE_OK)
            length = 0;
        at[length] = '\n';
        buffer_truncate(out, out->size_bytes - certificate.length + length);
    }
    return buffer_result(out, err);
}

static lethe_result write_both(const struct own_key *key, const char *key_path,
                               const struct buffer *certificates, const char *certificate_path,
                               bool replace, struct lethe_error *err)
{
    TRY(file_write_atomic(AT_FDCWD, key_path, lethe_secret_bytes_const(key->pem),
                          lethe_secret_size(key->pem), 0600, replace, err));
    return file_write_atomic(AT_FDCWD, certificate_path, certificates->bytes,
                             certificates->size_bytes, 0644, replace, err);
}

lethe_result own_key_write(const struct own_key *key, const struct buffer *certificates,
                           const char *name, struct lethe_error *err)
{
    char key_path[4096];
    char certificate_path[4096];
    int key_length = snprintf(key_path, sizeof key_path, "%s.key", name);
    int length = snprintf(certificate_path, sizeof certificate_path, "%s.pem", name);
    if (key_length >= (int)sizeof key_path || length >= (int)sizeof certificate_path)
        return error_set(err, LETHE_INVALID, "the name of the files is too long");
    if (access(certificate_path, F_OK) == 0)
        return error_set(err, LETHE_EXISTS, "%s is there already", certificate_path);
    return write_both(key, key_path, certificates, certificate_path, false, err);
}

/* A crash between the two leaves a key and a certificate that do not fit: renew again. */
lethe_result own_key_replace(const struct own_key *key, const char *key_path,
                             const struct buffer *certificates, const char *certificate_path,
                             struct lethe_error *err)
{
    return write_both(key, key_path, certificates, certificate_path, true, err);
}
