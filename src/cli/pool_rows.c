#include "cli/pool_rows.h"

#include "cli/pool_options.h"

/* clang-format off */
const struct option pool_control_options[] = {
    {"listen", 0, "ADDR:PORT", "listen here (default: 127.0.0.1:7310); port 0 is any that is free", false},
    {"allow-public", 0, NULL, "listen on addresses that other machines reach, too", false},
    {"policy", 0, "FILE", "another policy than the one built in (Rego)", false},
    {"data", 0, "FILE", "its data (JSON): who may lend, borrow and operate", false},
    POOL_CREDENTIAL_OPTIONS,
    {"passphrase-fd", 0, "N", "read the root's passphrase from descriptor N", false},
    {"json", 0, NULL, "print JSON instead of text when it is ready", false},
    {0}};
const struct option pool_provide_options[] = {
    {"memory", 0, "SIZE", "how much is lent: 8G", false},
    {"listen", 0, "ADDR:PORT", "listen here (default: 127.0.0.1:7311); port 0 is any that is free", false},
    {"announce", 0, "HOST:PORT", "how consumers reach it, where that is another address", false},
    {"allow-public", 0, NULL, "listen on addresses that other machines reach, too", false},
    POOL_CLIENT_OPTIONS,
    {"json", 0, NULL, "print JSON to stdout when it is ready", false},
    {"passphrase-fd", 0, "N", "read the root's passphrase from descriptor N", false},
    {0}};
const struct option pool_status_options[] = {
    {"json", 0, NULL, "print JSON (lethe-pool-status/1) instead of text", false},
    {"metrics", 0, NULL, "print metrics, as Prometheus reads them", false},
    POOL_CLIENT_OPTIONS,
    {0}};
const struct option pool_client_options[] = {
    POOL_CLIENT_OPTIONS,
    {0}};
const struct option pool_reason_options[] = {
    {"reason", 0, "TEXT", "why, for the record", false},
    POOL_CLIENT_OPTIONS,
    {0}};
const struct option pool_drain_options[] = {
    {"off", 0, NULL, "open it again", false},
    POOL_CLIENT_OPTIONS,
    {0}};
const struct option pool_put_options[] = {
    {"output", 'o', "HANDLE", "the handle, which must be new", false},
    {"force", 0, NULL, "replace a handle that is there", false},
    {"ttl", 0, "TIME", "how long it is kept: 90s, 15m, 2h, 30d (default: 10m)", false},
    {"copies", 0, "N", "on so many providers, 1 to 8 (default: 1)", false},
    {"size", 0, "BYTES", "of stdin at most (default: 64MiB)", false},
    {"tenant", 0, "NAME", "whose key wraps the handle's (default: default)", false},
    {"passphrase-fd", 0, "N", "read the root's passphrase from descriptor N", false},
    POOL_CLIENT_OPTIONS,
    {0}};
const struct option pool_get_options[] = {
    {"output", 'o', "FILE", "the file, which must be new", false},
    {"force", 0, NULL, "replace a file that is there", false},
    {"passphrase-fd", 0, "N", "read the root's passphrase from descriptor N", false},
    POOL_CLIENT_OPTIONS,
    {0}};
/* clang-format on */
