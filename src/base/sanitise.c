/* Text from outside, made safe for a log or a terminal. */
#include <string.h>

#include "base/utf8.h"
#include "base/validate.h"

/* Characters that act on what stands around them, or that nobody sees: they could forge a line,
 * drive a terminal, or make a text read as another (Unicode TR 36 section 2). In rising order. */
static const struct {
    uint32_t first, last;
} unsafe[] = {
    {0x0000, 0x001f},   /* C0 controls: NUL, newline, ESC         */
    {0x007f, 0x009f},   /* DEL and C1 controls: 8-bit CSI         */
    {0x00ad, 0x00ad},   /* soft hyphen                            */
    {0x034f, 0x034f},   /* combining grapheme joiner              */
    {0x061c, 0x061c},   /* Arabic letter mark                     */
    {0x115f, 0x1160},   /* Hangul fillers                         */
    {0x180b, 0x180f},   /* Mongolian separators                   */
    {0x200b, 0x200f},   /* zero width; left and right marks       */
    {0x2028, 0x202e},   /* line and paragraph; bidi embeddings    */
    {0x2060, 0x206f},   /* word joiner; bidi isolates             */
    {0x3164, 0x3164},   /* Hangul filler                          */
    {0xfeff, 0xfeff},   /* byte order mark                        */
    {0xffa0, 0xffa0},   /* half-width Hangul filler               */
    {0xfff9, 0xfffb},   /* interlinear annotation                 */
    {0x1d173, 0x1d17a}, /* musical formatting                     */
    {0xe0000, 0xe0fff}, /* tags and more variation selectors      */
};

static bool is_unsafe(uint32_t character)
{
    size_t i = 0;
    while (i < ARRAY_LEN(unsafe) && unsafe[i].last < character)
        i++;
    return i < ARRAY_LEN(unsafe) && unsafe[i].first <= character;
}

/* Gives what stands for the first character of `text`, and how many bytes of `text` it is for. */
static size_t safe_form(const char *text, size_t size_bytes, const char **form, size_t *form_length)
{
    uint32_t character;
    size_t length = utf8_decode(text, size_bytes, &character);
    bool safe = length > 0 && !is_unsafe(character);
    *form = safe ? text : "?";
    *form_length = safe ? length : 1;
    return MAX(length, 1);
}

/* Printable ASCII, which nearly all is, needs no second look. */
static size_t plain_length(const char *text, size_t size_bytes)
{
    size_t length = 0;
    while (length < size_bytes && text[length] >= 0x20 && text[length] < 0x7f)
        length++;
    return length;
}

size_t text_sanitise(const char *text, size_t size_bytes, char *out, size_t capacity_bytes)
{
    static const char ellipsis[] = "...";
    if (capacity_bytes == 0)
        return 0;
    size_t room = capacity_bytes - 1;
    size_t dots = MIN(room, sizeof ellipsis - 1);
    size_t written = 0;
    size_t cut = 0; /* the last place where the dots would still fit */
    for (size_t at = 0; at < size_bytes;) {
        const char *form;
        size_t length;
        if (written + dots < room) {
            length = plain_length(text + at, MIN(size_bytes - at, room - dots - written));
            memcpy(out + written, text + at, length);
            written += length;
            at += length;
            cut = written;
            if (at == size_bytes)
                break;
        }
        at += safe_form(text + at, size_bytes - at, &form, &length);
        if (length > room - written) {
            memcpy(out + cut, ellipsis, dots);
            written = cut + dots;
            break;
        }
        memcpy(out + written, form, length);
        written += length;
        if (written + dots <= room)
            cut = written;
    }
    out[written] = '\0';
    return written;
}
