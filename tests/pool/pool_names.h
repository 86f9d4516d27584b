/* tests/pool/pool_names.h -- rows as tests of the control plane make them. */
#ifndef TESTS_POOL_POOL_NAMES_H
#define TESTS_POOL_POOL_NAMES_H

#include "pool/pool_rows.h"

#define NODE_A "spiffe://example.org/node/a"
#define NODE_B "spiffe://example.org/node/b"
#define ANNA "spiffe://example.org/tenant/acme/anna"
#define BERT "spiffe://example.org/tenant/acme/bert"
#define CARL "spiffe://example.org/tenant/widgets/carl"

static inline struct lease_row lease_row_of(uint8_t number, const char *consumer,
                                            const char *tenant, const char *provider)
{
    struct lease_row row = {.lease = {{number, 1}},
                            .group = {{number, 2}},
                            .boot_id = {7, number},
                            .generation = number,
                            .bytes = 1 << 20,
                            .block_bytes = 64 << 10,
                            .ttl_ms = 60000,
                            .granted_ms = 1790000000000,
                            .state = LEASE_GRANTED};
    snprintf(row.consumer, sizeof row.consumer, "%s", consumer);
    snprintf(row.tenant, sizeof row.tenant, "%s", tenant);
    snprintf(row.provider, sizeof row.provider, "%s", provider);
    return row;
}

static inline struct provider_row provider_row_of(const char *id)
{
    struct provider_row row = {
        .address = "127.0.0.1:7311", .boot_id = {9, 9}, .capacity_bytes = 1 << 30, .joined_ms = 5};
    snprintf(row.id, sizeof row.id, "%s", id);
    return row;
}

#endif
