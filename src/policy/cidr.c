#include "policy/cidr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"

#define V4_BITS 32
#define V6_BITS 128
#define V4_IN_V6 ((cidr_address)0xffff << V4_BITS) /* ::ffff:0:0/96 (RFC 4291 section 2.5.5.2) */
#define V4_IN_V6_PREFIX (V6_BITS - V4_BITS)

static unsigned width(bool is_v6)
{
    return is_v6 ? V6_BITS : V4_BITS;
}

/* Those of `bits` low bits; a shift by the whole width is not defined in C. */
static cidr_address low_bits(unsigned bits)
{
    return bits == V6_BITS ? ~(cidr_address)0 : ((cidr_address)1 << bits) - 1;
}

static cidr_address host_bits(const struct cidr *block)
{
    return low_bits(width(block->is_v6) - block->prefix);
}

/* Bits behind the prefix go; what is an IPv4 block in IPv6's form becomes one. */
static void settle(struct cidr *block)
{
    block->first &= ~host_bits(block);
    bool is_v4 = block->is_v6 && block->prefix >= V4_IN_V6_PREFIX &&
                 (block->first & ~low_bits(V4_BITS)) == V4_IN_V6;
    if (!is_v4)
        return;
    block->is_v6 = false;
    block->prefix = (uint8_t)(block->prefix - V4_IN_V6_PREFIX);
    block->first &= low_bits(V4_BITS);
}

static bool read_address(const char *text, size_t size_bytes, struct cidr *out)
{
    char copy[INET6_ADDRSTRLEN];
    uint8_t bytes[16];
    if (size_bytes >= sizeof copy || memchr(text, '\0', size_bytes) != NULL)
        return false;
    memcpy(copy, text, size_bytes);
    copy[size_bytes] = '\0';
    out->is_v6 = memchr(copy, ':', size_bytes) != NULL;
    if (inet_pton(out->is_v6 ? AF_INET6 : AF_INET, copy, bytes) != 1)
        return false;
    out->first = 0;
    for (unsigned i = 0; i < width(out->is_v6) / 8; i++)
        out->first = out->first << 8 | bytes[i];
    out->prefix = (uint8_t)width(out->is_v6);
    return true;
}

bool cidr_parse_address(const char *text, size_t size_bytes, struct cidr *out)
{
    if (!read_address(text, size_bytes, out))
        return false;
    settle(out);
    return true;
}

static bool read_prefix(const char *text, size_t length, unsigned most, uint8_t *out)
{
    unsigned prefix = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9' || prefix > most)
            return false;
        prefix = prefix * 10 + (unsigned)(text[i] - '0');
    }
    *out = (uint8_t)prefix;
    return length > 0 && prefix <= most;
}

bool cidr_parse(const char *text, size_t size_bytes, struct cidr *out)
{
    const char *slash = memchr(text, '/', size_bytes);
    if (slash == NULL || !read_address(text, (size_t)(slash - text), out))
        return false;
    size_t length = size_bytes - (size_t)(slash + 1 - text);
    if (!read_prefix(slash + 1, length, width(out->is_v6), &out->prefix))
        return false;
    settle(out);
    return true;
}

cidr_address cidr_last(const struct cidr *block)
{
    return block->first | host_bits(block);
}

bool cidr_contains(const struct cidr *block, const struct cidr *inner)
{
    return block->is_v6 == inner->is_v6 && block->first <= inner->first &&
           cidr_last(inner) <= cidr_last(block);
}

struct cidr cidr_largest(bool is_v6, cidr_address first, cidr_address last)
{
    struct cidr block = {.is_v6 = is_v6, .prefix = (uint8_t)width(is_v6), .first = first};
    while (block.prefix > 0) {
        struct cidr wider = block;
        wider.prefix--;
        if ((first & host_bits(&wider)) != 0 || cidr_last(&wider) > last)
            break;
        block = wider;
    }
    return block;
}

/* ---- texts ---- */

struct zeros {
    unsigned at, count;
};

/* The first of the longest runs of two zero groups or more. */
static struct zeros longest_zeros(const uint16_t groups[8])
{
    struct zeros best = {.at = 8, .count = 1};
    for (unsigned at = 0; at < 8; at++) {
        unsigned count = 0;
        while (at + count < 8 && groups[at + count] == 0)
            count++;
        if (count > best.count)
            best = (struct zeros){at, count};
    }
    return best;
}

static void v6_text(cidr_address address, char out[CIDR_TEXT_SIZE])
{
    uint16_t groups[8];
    for (unsigned i = 0; i < 8; i++)
        groups[i] = (uint16_t)(address >> (112 - 16 * i));
    struct zeros zeros = longest_zeros(groups);
    int length = 0;
    for (unsigned i = 0; i < 8; i++) {
        if (i == zeros.at) {
            length += snprintf(out + length, CIDR_TEXT_SIZE - (size_t)length, "::");
            i += zeros.count - 1;
            continue;
        }
        bool needs_colon = i > 0 && i != zeros.at + zeros.count;
        length += snprintf(out + length, CIDR_TEXT_SIZE - (size_t)length, "%s%x",
                           needs_colon ? ":" : "", groups[i]);
    }
}

void cidr_address_text(bool is_v6, cidr_address address, char out[CIDR_TEXT_SIZE])
{
    uint32_t v4 = (uint32_t)address;
    if (is_v6)
        v6_text(address, out);
    else
        snprintf(out, CIDR_TEXT_SIZE, "%u.%u.%u.%u", v4 >> 24, v4 >> 16 & 255, v4 >> 8 & 255,
                 v4 & 255);
}

void cidr_text(const struct cidr *block, char out[CIDR_TEXT_SIZE])
{
    cidr_address_text(block->is_v6, block->first, out);
    size_t length = strlen(out);
    snprintf(out + length, CIDR_TEXT_SIZE - length, "/%u", block->prefix);
}
