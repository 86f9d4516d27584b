#include "pool/wire.h"

#include <endian.h>
#include <string.h>

#include "base/error.h"
#include "base/validate.h"
#include "pool/wire_core.h"

#define READ_ENTRY_BYTES 8u
#define WRITE_ENTRY_BYTES (8u + WIRE_TAG_BYTES)
#define INDEX_OF_ORDER 1024u /* a lease, a name, a reason, and how long they are */

/* ---- what is known of types ------------------------------------------------------------------
 */

static const struct {
    const char *name;
    uint8_t by, to;
    uint32_t request_data_max, reply_data_max;
    bool later;
} types[] = {
#define WIRE_TYPE_ROW(name, number, by, to, request, reply, later)                                 \
    [number] = {#name, by, to, request, reply, later},
    WIRE_TYPES(WIRE_TYPE_ROW)
#undef WIRE_TYPE_ROW
};

/* What a head may have besides. Of types with blocks the index is counted, not limited. */
enum {
    HAS_CHANNEL = 1u << 0,     /* of an attached lease, in the request */
    REPLIES_CHANNEL = 1u << 1, /* the reply has it */
    REPLIES_VALUE = 1u << 2,
    IS_NOTICE = 1u << 3, /* has a value and no reply; nothing else is one */
};
static const struct {
    uint8_t flags;
    uint8_t request_entry_bytes, reply_entry_bytes; /* for each block */
    uint32_t request_index_max, reply_index_max;
} shapes[ARRAY_LEN(types)] = {
    [WIRE_HELLO] = {0, 0, 0, 64, BOOT_ID_BYTES},
    [WIRE_ATTACH] = {REPLIES_CHANNEL | REPLIES_VALUE, 0, 0, POOL_TOKEN_MAX, 13},
    [WIRE_READ] = {HAS_CHANNEL | REPLIES_CHANNEL, READ_ENTRY_BYTES, WIRE_TAG_BYTES, 0, 0},
    [WIRE_WRITE] = {HAS_CHANNEL | REPLIES_CHANNEL, WRITE_ENTRY_BYTES, 0, 0, 0},
    [WIRE_RENEW] = {HAS_CHANNEL | REPLIES_CHANNEL | REPLIES_VALUE, 0, 0, 0, 0},
    [WIRE_RELEASE] = {HAS_CHANNEL | REPLIES_CHANNEL, 0, 0, 0, 0},
    [WIRE_OVER] = {HAS_CHANNEL | IS_NOTICE, 0, 0, 0, 0},
    [WIRE_ALLOCATE] = {0, 0, 0, 21, WIRE_INDEX_MAX},
    [WIRE_TOKEN] = {0, 0, 0, LEASE_ID_BYTES, POOL_TOKEN_MAX},
    [WIRE_DROP] = {0, 0, 0, LEASE_ID_BYTES, 0},
    [WIRE_STATUS] = {0, 0, 0, 1, 0},
    [WIRE_REVOKE] = {0, 0, 0, INDEX_OF_ORDER, 0},
    [WIRE_FORCE_STOP] = {0, 0, 0, INDEX_OF_ORDER, 0},
    [WIRE_DRAIN] = {0, 0, 0, INDEX_OF_ORDER, 0},
    [WIRE_QUOTA] = {0, 0, 0, INDEX_OF_ORDER, 0},
    [WIRE_RESTORE] = {0, 0, 0, INDEX_OF_ORDER, 0},
    [WIRE_JOIN] = {0, 0, 0, INDEX_OF_ORDER, INDEX_OF_ORDER},
    [WIRE_REPORT] = {0, 0, 0, WIRE_INDEX_MAX, 0},
    [WIRE_GRANT] = {REPLIES_VALUE, 0, 0, POOL_TOKEN_MAX, 0},
    [WIRE_STOP] = {REPLIES_VALUE, 0, 0, LEASE_ID_BYTES + 1, 0},
    [WIRE_BAN] = {0, 0, 0, INDEX_OF_ORDER, 0},
    [WIRE_MAINTAIN] = {0, 0, 0, 1, 0},
};

static uint8_t type_of(uint8_t type)
{
    return type & (uint8_t)~WIRE_REPLY;
}

const char *wire_type_name(uint8_t type)
{
    uint8_t number = type_of(type);
    return number < ARRAY_LEN(types) && types[number].name != NULL ? types[number].name : "?";
}

bool wire_answered_later(uint8_t type)
{
    uint8_t number = type_of(type);
    return number < ARRAY_LEN(types) && types[number].later;
}

/* ---- results ---------------------------------------------------------------------------------
 */

static const struct {
    lethe_result result;
    uint16_t code;
} codes[] = {
#define POOL_CODE_ROW(result, number) {LETHE_##result, number},
    POOL_CODES(POOL_CODE_ROW)
#undef POOL_CODE_ROW
};

uint16_t wire_code_of(lethe_result result)
{
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (codes[i].result == result)
            return codes[i].code;
    return wire_code_of(LETHE_FAILED);
}

lethe_result wire_result_of(uint16_t code)
{
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (codes[i].code == code)
            return codes[i].result;
    return LETHE_FAILED;
}

/* A text of struct lethe_error is made by us and is UTF-8, but may have been cut. */
void wire_refusal_write(const struct lethe_error *why, struct buffer *out)
{
    char text[WIRE_ERROR_MAX + 1];
    size_t length =
        text_sanitise(why->text, strnlen(why->text, sizeof why->text), text, sizeof text);
    buffer_append(out, text, length);
}

lethe_result wire_refusal_read(const struct wire_head *reply, struct cursor index,
                               struct lethe_error *err)
{
    char text[WIRE_ERROR_MAX + 1];
    if (reply->code == 0)
        return LETHE_OK;
    lethe_result result = wire_result_of(reply->code);
    size_t length = text_sanitise((const char *)index.at, cursor_left(&index), text, sizeof text);
    return error_set(err, result, "%s", length > 0 ? text : lethe_result_sentence(result));
}

/* ---- heads -----------------------------------------------------------------------------------
 */

void wire_head_write(const struct wire_head *head, uint8_t out[WIRE_HEAD_BYTES])
{
    const uint16_t code = htole16(head->code);
    const uint32_t words[] = {htole32(head->channel), htole32(head->index_bytes),
                              htole32(head->data_bytes)};
    const uint64_t request = htole64(head->request), value = htole64(head->value);
    out[0] = head->type;
    out[1] = head->flags;
    memcpy(out + 2, &code, 2);
    memcpy(out + 4, &words[0], 4);
    memcpy(out + 8, &request, 8);
    memcpy(out + 16, &words[1], 8);
    memcpy(out + 24, &value, 8);
}

static lethe_result take_apart(const uint8_t bytes[WIRE_HEAD_BYTES], struct wire_head *out)
{
    struct cursor cursor = cursor_over(bytes, WIRE_HEAD_BYTES);
    TRY(cursor_u8(&cursor, &out->type));
    TRY(cursor_u8(&cursor, &out->flags));
    TRY(cursor_le16(&cursor, &out->code));
    TRY(cursor_le32(&cursor, &out->channel));
    TRY(cursor_le64(&cursor, &out->request));
    TRY(cursor_le32(&cursor, &out->index_bytes));
    TRY(cursor_le32(&cursor, &out->data_bytes));
    return cursor_le64(&cursor, &out->value);
}

static lethe_result refuse(const struct wire_head *head, const char *why, struct lethe_error *err)
{
    return error_set(err, LETHE_MALFORMED, "a frame %s%s: %s", wire_type_name(head->type),
                     wire_is_reply(head) ? "'s reply" : "", why);
}

/* Blocks of one size that a lease can have, and no more of them than a frame may carry. */
static bool blocks_fit(uint64_t count, uint32_t data_bytes)
{
    return count >= 1 && count <= WIRE_BLOCKS_MAX && data_bytes % count == 0 &&
           pool_block_bytes_fit(data_bytes / count);
}

static lethe_result check_refusal(const struct wire_head *head, struct lethe_error *err)
{
    if (head->index_bytes > WIRE_ERROR_MAX || head->data_bytes > 0 || head->value != 0)
        return refuse(head, "a refusal has a sentence, and nothing else", err);
    return LETHE_OK;
}

static lethe_result check_reply_blocks(const struct wire_head *head, uint8_t entry_bytes,
                                       struct lethe_error *err)
{
    if (head->index_bytes % entry_bytes != 0 ||
        !blocks_fit(head->index_bytes / entry_bytes, head->data_bytes))
        return refuse(head, "its data are not so many blocks", err);
    return LETHE_OK;
}

static lethe_result check_reply(const struct wire_head *head, uint8_t type, struct lethe_error *err)
{
    if (head->request == 0 || (shapes[type].flags & IS_NOTICE) != 0)
        return refuse(head, "nothing has asked for it", err);
    if (head->channel != 0 && (shapes[type].flags & REPLIES_CHANNEL) == 0)
        return refuse(head, "it belongs to no channel", err);
    if (head->code != 0)
        return check_refusal(head, err);
    if (head->value != 0 && (shapes[type].flags & REPLIES_VALUE) == 0)
        return refuse(head, "it has no value", err);
    if (head->data_bytes > types[type].reply_data_max)
        return refuse(head, "its data are too long", err);
    if (shapes[type].reply_entry_bytes > 0)
        return check_reply_blocks(head, shapes[type].reply_entry_bytes, err);
    return head->index_bytes <= shapes[type].reply_index_max
               ? LETHE_OK
               : refuse(head, "its index is too long", err);
}

static lethe_result check_request_blocks(const struct wire_head *head, uint8_t type,
                                         struct lethe_error *err)
{
    if (head->code < 1 || head->code > WIRE_BLOCKS_MAX)
        return refuse(head, "its number of blocks is none, or too large", err);
    if (head->index_bytes != (uint32_t)head->code * shapes[type].request_entry_bytes)
        return refuse(head, "its index does not fit its number of blocks", err);
    if (types[type].request_data_max > 0 && !blocks_fit(head->code, head->data_bytes))
        return refuse(head, "its data are not so many blocks", err);
    return LETHE_OK;
}

static lethe_result check_request(const struct wire_head *head, uint8_t type,
                                  struct lethe_error *err)
{
    bool is_notice = (shapes[type].flags & IS_NOTICE) != 0;
    if (is_notice != (head->request == 0))
        return refuse(head, is_notice ? "it is a notice" : "it is no notice", err);
    if (head->value != 0 && !is_notice)
        return refuse(head, "it has no value", err);
    if ((head->channel != 0) != ((shapes[type].flags & HAS_CHANNEL) != 0))
        return refuse(head, head->channel != 0 ? "it belongs to no channel" : "it has no channel",
                      err);
    if (head->data_bytes > types[type].request_data_max)
        return refuse(head, "its data are too long", err);
    if (shapes[type].request_entry_bytes > 0)
        return check_request_blocks(head, type, err);
    if (head->code != 0)
        return refuse(head, "it carries no blocks", err);
    return head->index_bytes <= shapes[type].request_index_max
               ? LETHE_OK
               : refuse(head, "its index is too long", err);
}

static bool may_say(uint8_t type, enum wire_role sender, enum wire_role receiver)
{
    if (sender == WIRE_UNKNOWN)
        return type == WIRE_HELLO && (types[type].to & 1u << receiver) != 0;
    return (types[type].by & 1u << sender) != 0 && (types[type].to & 1u << receiver) != 0;
}

lethe_result wire_head_read(const uint8_t bytes[WIRE_HEAD_BYTES], enum wire_role sender,
                            enum wire_role receiver, struct wire_head *out, struct lethe_error *err)
{
    TRY(take_apart(bytes, out));
    uint8_t type = type_of(out->type);
    if (type >= ARRAY_LEN(types) || types[type].name == NULL)
        return error_set(err, LETHE_MALFORMED, "a frame of type %u, which there is not", type);
    bool is_allowed =
        wire_is_reply(out) ? may_say(type, receiver, sender) : may_say(type, sender, receiver);
    if (!is_allowed || (wire_is_reply(out) && sender == WIRE_UNKNOWN))
        return refuse(out, "the peer may not send it", err);
    if (out->flags != 0)
        return refuse(out, "it has an unknown flag", err);
    return wire_is_reply(out) ? check_reply(out, type, err) : check_request(out, type, err);
}

/* ---- entries of READ and WRITE ----------------------------------------------------------------
 */

void wire_read_entry_write(uint64_t block, struct buffer *out)
{
    buffer_le64(out, block);
}

void wire_write_entry_write(uint64_t block, const uint8_t tag[WIRE_TAG_BYTES], struct buffer *out)
{
    buffer_le64(out, block);
    buffer_append(out, tag, WIRE_TAG_BYTES);
}

static const uint8_t *entry_at(const struct cursor *index, size_t entry, size_t entry_bytes)
{
    REQUIRE(entry < cursor_left(index) / entry_bytes);
    return index->at + entry * entry_bytes;
}

static uint64_t block_at(const uint8_t *at)
{
    uint64_t block;
    memcpy(&block, at, sizeof block);
    return le64toh(block);
}

uint64_t wire_read_entry(const struct cursor *index, size_t entry)
{
    return block_at(entry_at(index, entry, READ_ENTRY_BYTES));
}

uint64_t wire_write_entry(const struct cursor *index, size_t entry, const uint8_t **tag)
{
    const uint8_t *at = entry_at(index, entry, WRITE_ENTRY_BYTES);
    *tag = at + sizeof(uint64_t);
    return block_at(at);
}
