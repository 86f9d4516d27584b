#include <stdio.h>
#include <string.h>

#include "policy/number_form.h"

/* Of the first digit: outside of these an exponent is written, as JSON printers do. */
#define PLAIN_EXPONENT_MIN (-6)

/* ---- integers ---- */

#define LIMB_DIGITS 19
/* Of many limbs, so many digits at a time are taken away: one limb's are slow to divide by. */
#define CHUNK_LIMBS 16
#define CHUNK_DIGITS (CHUNK_LIMBS * LIMB_DIGITS)
#define CHUNKS_MAX (NUMBER_DIGITS_MAX / CHUNK_DIGITS + 1)

/* A limb's digits before `end`, two at a time as divisions are slow. */
static char *write_limb(mp_limb_t limb, char *end)
{
    for (int i = 0; i < LIMB_DIGITS / 2; i++, limb /= 100) {
        unsigned pair = (unsigned)(limb % 100);
        *--end = (char)('0' + pair % 10);
        *--end = (char)('0' + pair / 10);
    }
    *--end = (char)('0' + limb);
    return end;
}

/* Gives where they begin. What was in the limbs is lost. */
static char *write_limbs(mp_limb_t *limbs, mp_size_t count, char *end)
{
    while ((count = number_trim(limbs, count)) > 0)
        end = write_limb(mpn_divrem_1(limbs, 0, limbs, count, number_powers_of_ten[LIMB_DIGITS]),
                         end);
    return end;
}

static void fill_chunk_power(mp_limb_t *power)
{
    mp_limb_t limbs[EXACT_LIMBS_MAX];
    struct exact fives = {.limbs = limbs};
    fives.count = number_power_of_five(CHUNK_DIGITS, limbs);
    number_shift_limbs(power, &fives, CHUNK_DIGITS);
}

static char *write_chunks(mp_limb_t *limbs, mp_size_t count, char *end)
{
    mp_limb_t power[CHUNK_LIMBS + 1], quotient[BIG_LIMBS_MAX], rest[CHUNK_LIMBS];
    fill_chunk_power(power);
    while (count >= CHUNK_LIMBS) {
        mpn_tdiv_qr(quotient, rest, 0, limbs, count, power, CHUNK_LIMBS);
        memset(end - CHUNK_DIGITS, '0', CHUNK_DIGITS);
        write_limbs(rest, CHUNK_LIMBS, end);
        end -= CHUNK_DIGITS;
        count = number_trim(quotient, count - CHUNK_LIMBS + 1);
        memcpy(limbs, quotient, (size_t)count * sizeof *limbs);
    }
    return write_limbs(limbs, count, end);
}

static void print_decimal(mp_limb_t *limbs, mp_size_t count, struct buffer *out)
{
    char text[CHUNKS_MAX * CHUNK_DIGITS], *end = text + sizeof text;
    char *at =
        count < CHUNK_LIMBS ? write_limbs(limbs, count, end) : write_chunks(limbs, count, end);
    while (at < end && *at == '0')
        at++;
    buffer_append(out, at, (size_t)(end - at));
}

/* A power of two as a base needs no division. */
static void print_bits(mp_limb_t *limbs, mp_size_t count, unsigned base, struct buffer *out)
{
    size_t size = mpn_sizeinbase(limbs, count, (int)base);
    char *room = buffer_extend(out, size);
    if (room == NULL)
        return;
    mpn_get_str((unsigned char *)room, (int)base, limbs, count);
    for (size_t i = 0; i < size; i++)
        room[i] = "0123456789abcdef"[(unsigned char)room[i]];
}

/* One that is not 0. */
static void print_integer(struct exact integer, unsigned base, struct buffer *out)
{
    mp_limb_t limbs[BIG_LIMBS_MAX];
    memcpy(limbs, integer.limbs, (size_t)integer.count * sizeof *limbs);
    if (integer.negative)
        buffer_byte(out, '-');
    if (base == 10)
        print_decimal(limbs, integer.count, out);
    else
        print_bits(limbs, integer.count, base, out);
}

/* ---- reals ---- */

/* 0.digits * 10^exponent */
struct digits {
    char text[24];
    int exponent;
};

static struct digits shortest_digits(const struct number *real)
{
    struct number_decimal decimal = number_to_decimal(real);
    struct digits digits;
    uint64_t high = (uint64_t)(decimal.digits / number_powers_of_ten[18]);
    uint64_t low = (uint64_t)(decimal.digits % number_powers_of_ten[18]);
    int length = high > 0
                     ? snprintf(digits.text, sizeof digits.text, "%llu%018llu",
                                (unsigned long long)high, (unsigned long long)low)
                     : snprintf(digits.text, sizeof digits.text, "%llu", (unsigned long long)low);
    digits.exponent = length - (int)decimal.power;
    return digits;
}

static void print_zeros(size_t count, struct buffer *out)
{
    for (size_t i = 0; i < count; i++)
        buffer_byte(out, '0');
}

static void print_with_exponent(const struct digits *digits, struct buffer *out)
{
    buffer_byte(out, (uint8_t)digits->text[0]);
    if (digits->text[1] != '\0')
        buffer_format(out, ".%s", digits->text + 1);
    buffer_format(out, "e%d", digits->exponent - 1);
}

/* A real that is not whole has digits behind the point. */
static void print_plain(const struct digits *digits, struct buffer *out)
{
    if (digits->exponent <= 0) {
        buffer_text(out, "0.");
        print_zeros((size_t)-digits->exponent, out);
        buffer_text(out, digits->text);
        return;
    }
    size_t whole = (size_t)digits->exponent;
    buffer_append(out, digits->text, whole);
    buffer_format(out, ".%s", digits->text + whole);
}

static void print_real(const struct number *number, struct buffer *out)
{
    struct digits digits = shortest_digits(number);
    if (number->negative)
        buffer_byte(out, '-');
    if (digits.exponent - 1 < PLAIN_EXPONENT_MIN)
        print_with_exponent(&digits, out);
    else
        print_plain(&digits, out);
}

/* ---- both ---- */

/* Faster than a format, for what is printed most. */
static void print_small(int64_t small, struct buffer *out)
{
    char text[24];
    size_t at = sizeof text;
    uint64_t left = small < 0 ? -(uint64_t)small : (uint64_t)small;
    do {
        text[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (small < 0)
        text[--at] = '-';
    buffer_append(out, text + at, sizeof text - at);
}

void number_print(const struct number *number, struct buffer *out)
{
    mp_limb_t limb;
    if (number->form == NUMBER_SMALL)
        print_small(number->small, out);
    else if (number->form == NUMBER_BIG)
        print_integer(number_view(number, &limb), 10, out);
    else
        print_real(number, out);
}

void number_print_base(const struct number *number, unsigned base, struct buffer *out)
{
    REQUIRE(base == 2 || base == 8 || base == 10 || base == 16);
    mp_limb_t limb;
    struct exact integer = number_view(number, &limb);
    if (number->form == NUMBER_REAL) {
        limb = number_whole_part(number);
        integer.count = limb != 0;
    }
    if (integer.count == 0)
        buffer_byte(out, '0');
    else
        print_integer(integer, base, out);
}
