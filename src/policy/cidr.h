/* policy/cidr.h -- blocks of IP addresses (RFC 4632, RFC 4291).
 *
 * An IPv4 address that is written as IPv6 (::ffff:192.0.2.1) is that IPv4 address, as in Go.
 * Thread rule: pure functions. */
#ifndef POLICY_CIDR_H
#define POLICY_CIDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The low 32 bits are an IPv4 address. Aligned as an arena aligns. */
__extension__ typedef unsigned __int128 cidr_address __attribute__((aligned(8)));

struct cidr {
    bool is_v6;
    uint8_t prefix;     /* bits; 32 or 128: one address */
    cidr_address first; /* the bits behind the prefix are zero */
};

#define CIDR_TEXT_SIZE 64

/* An address alone: its prefix is all of it. false: it is none. */
bool cidr_parse_address(const char *text, size_t size_bytes, struct cidr *out);
/* "192.0.2.0/24"; bits behind the prefix are cleared. */
bool cidr_parse(const char *text, size_t size_bytes, struct cidr *out);

cidr_address cidr_last(const struct cidr *block);
bool cidr_contains(const struct cidr *block, const struct cidr *inner);

/* RFC 5952; with "/prefix", or the address alone. */
void cidr_text(const struct cidr *block, char out[CIDR_TEXT_SIZE]);
void cidr_address_text(bool is_v6, cidr_address address, char out[CIDR_TEXT_SIZE]);

/* The largest block that begins at `first` and ends at `last` or before. */
struct cidr cidr_largest(bool is_v6, cidr_address first, cidr_address last);

#endif
