#include "net/identity.h"

#include <string.h>

#include "base/error.h"
#include "base/validate.h"

#define SCHEME "spiffe://"
#define TENANT_PREFIX "tenant/"
#define DEFAULT_TENANT "default"
#define LOWER_AND_DIGITS "abcdefghijklmnopqrstuvwxyz0123456789"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

static lethe_result refuse(struct lethe_error *err, const char *why)
{
    error_set(err, LETHE_INVALID, "not a SPIFFE id: %s", why);
    error_hint(err, "it looks like spiffe://example.org/tenant/acme/loader");
    return LETHE_INVALID;
}

static bool part_is_valid(const char *part, size_t length)
{
    bool dots = (length == 1 && part[0] == '.') || (length == 2 && memcmp(part, "..", 2) == 0);
    return length > 0 && !dots;
}

static lethe_result check_path(const char *path, struct lethe_error *err)
{
    if (strspn(path, LOWER_AND_DIGITS UPPER "._-/") != strlen(path))
        return refuse(err, "its path has a character outside [A-Za-z0-9._/-]");
    for (const char *part = path;; part++) {
        size_t length = strcspn(part, "/");
        if (!part_is_valid(part, length))
            return refuse(err, "a part of its path is empty, \".\" or \"..\"");
        part += length;
        if (*part == '\0')
            return LETHE_OK;
    }
}

static lethe_result find_tenant(const char *path, struct spiffe_id *out, struct lethe_error *err)
{
    const char *tenant = path + strlen(TENANT_PREFIX);
    if (strncmp(path, TENANT_PREFIX, strlen(TENANT_PREFIX)) != 0) {
        strcpy(out->tenant, DEFAULT_TENANT);
        return LETHE_OK;
    }
    size_t length = strcspn(tenant, "/");
    if (length >= sizeof out->tenant)
        return refuse(err, "its tenant is longer than 64 characters");
    memcpy(out->tenant, tenant, length);
    out->tenant[length] = '\0';
    if (validate_identifier("tenant", out->tenant, sizeof out->tenant - 1, NULL) != LETHE_OK)
        return refuse(err, "its tenant has a character outside [A-Za-z0-9_-]");
    return LETHE_OK;
}

lethe_result spiffe_parse(const char *text, size_t length, struct spiffe_id *out,
                          struct lethe_error *err)
{
    *out = (struct spiffe_id){0};
    if (length > SPIFFE_ID_MAX || memchr(text, '\0', length) != NULL)
        return refuse(err, "it is longer than 255 characters, or has a NUL");
    memcpy(out->text, text, length);
    if (strncmp(out->text, SCHEME, strlen(SCHEME)) != 0)
        return refuse(err, "it does not begin with " SCHEME);
    const char *domain = out->text + strlen(SCHEME);
    size_t domain_length = strcspn(domain, "/");
    if (domain_length == 0 || strspn(domain, LOWER_AND_DIGITS "._-") != domain_length)
        return refuse(err, "its trust domain is not 1 or more of [a-z0-9._-]");
    memcpy(out->trust_domain, domain, domain_length);
    if (domain[domain_length] == '\0')
        return refuse(err, "it has no path");
    TRY(check_path(domain + domain_length + 1, err));
    return find_tenant(domain + domain_length + 1, out, err);
}

lethe_result spiffe_read(const char *text, size_t length, struct spiffe_id *out,
                         struct lethe_error *err)
{
    char whole[sizeof SCHEME + SPIFFE_ID_MAX];
    bool has_scheme = memmem(text, length, "://", 3) != NULL;
    if (has_scheme || length > SPIFFE_ID_MAX)
        return spiffe_parse(text, length, out, err);
    memcpy(whole, SCHEME, sizeof SCHEME - 1);
    memcpy(whole + sizeof SCHEME - 1, text, length);
    return spiffe_parse(whole, strlen(SCHEME) + length, out, err);
}
