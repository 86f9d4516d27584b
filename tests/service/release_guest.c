/* A guest on a Milan: reports that a chip of the tests' own maker signs. */
#include "check.h"

#include <stdlib.h>

#include "../attest/snp_scene.h"

#include "base/text.h"

struct guest {
    struct machine machine;
    struct buffer anchors, vek;
    uint64_t now_s;
    uint8_t measurement;
    char chip[129];
    size_t change_at; /* of the report, before it is signed; 0: nothing */
    uint8_t change;
    bool is_expired;
};

struct guest *guest_make(uint64_t now_s);
void guest_free(struct guest *guest);
const char *guest_anchors(const struct guest *guest);
const char *guest_chip(const struct guest *guest);
void guest_roll_back(struct guest *guest, uint8_t by);
void guest_measure(struct guest *guest, uint8_t byte);
void guest_change(struct guest *guest, size_t at, uint8_t bits);
void guest_expire(struct guest *guest, bool is_expired);
void guest_prove(const struct guest *guest, const uint8_t data[32], struct buffer *json);

static struct certificate_spec dated(const struct guest *guest, struct certificate_spec spec)
{
    spec.not_before_s = guest->now_s - 3 * PKI_DAY_S;
    spec.not_after_s = guest->now_s + 30 * PKI_DAY_S;
    return spec;
}

static void certify(struct guest *guest)
{
    struct certificate_spec vek = dated(guest, vek_spec(&guest->machine));
    if (guest->is_expired)
        vek.not_after_s = guest->now_s - PKI_DAY_S;
    buffer_clear(&guest->vek);
    pki_make(&vek, &guest->vek);
}

struct guest *guest_make(uint64_t now_s)
{
    struct guest *guest = calloc(1, sizeof *guest);
    assert_non_null(guest);
    if (pki.vek == NULL)
        assert_int_equal(0, pki_start(NULL));
    guest->machine = machines[0];
    guest->now_s = now_s;
    guest->measurement = 0xab;
    hex_encode(guest->machine.chip, sizeof guest->machine.chip, guest->chip);
    const struct certificate_spec root = dated(guest, root_spec());
    const struct certificate_spec intermediate =
        dated(guest, intermediate_spec(intermediate_name(&guest->machine)));
    pki_anchors(&intermediate, &root, &guest->anchors);
    certify(guest);
    return guest;
}

void guest_free(struct guest *guest)
{
    if (guest == NULL)
        return;
    buffer_clear(&guest->anchors);
    buffer_clear(&guest->vek);
    free(guest);
    pki_stop(NULL);
    pki = (struct pki_key){0};
}

const char *guest_anchors(const struct guest *guest)
{
    return guest->anchors.bytes;
}

const char *guest_chip(const struct guest *guest)
{
    return guest->chip;
}

void guest_roll_back(struct guest *guest, uint8_t by)
{
    guest->machine.levels[4] = (uint8_t)(guest->machine.levels[4] - by);
    certify(guest);
}

void guest_measure(struct guest *guest, uint8_t byte)
{
    guest->measurement = byte;
}

void guest_change(struct guest *guest, size_t at, uint8_t bits)
{
    guest->change_at = at;
    guest->change = bits;
}

void guest_expire(struct guest *guest, bool is_expired)
{
    guest->is_expired = is_expired;
    certify(guest);
}

void guest_prove(const struct guest *guest, const uint8_t data[32], struct buffer *json)
{
    uint8_t report[SEVSNP_REPORT_BYTES];
    fill_report(&guest->machine, 3, report);
    memset(report + 0x50, 0, 64);
    memcpy(report + 0x50, data, 32);
    memset(report + 0x90, guest->measurement, 48);
    report[guest->change_at] ^= guest->change;
    sign_report(pki.vek, report);
    buffer_clear(json);
    buffer_text(json, "{\"kind\":\"sev-snp\",\"report\":\"");
    base64_append(json, report, sizeof report);
    buffer_text(json, "\",\"vek\":\"");
    base64_append(json, guest->vek.bytes, guest->vek.size_bytes);
    buffer_text(json, "\"}");
}
