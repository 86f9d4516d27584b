/* Reports from the kernel's interface, and certificates from the host's table, which nobody
 * believes. */
#include "fake_tsm.h"

#include "attest/sevsnp_tsm.h"

static const uint8_t data[SEVSNP_DATA_BYTES] = {1, 2, 3, [63] = 64};

struct produced {
    struct buffer report, vek;
    struct lethe_error err;
};

static lethe_result produce(struct produced *p)
{
    CLEANUP(memory_free) char *root = temp_dir();
    *p = (struct produced){0};
    lethe_result result = sevsnp_produce(root, data, &p->report, &p->vek, &p->err);
    assert_int_equal(tsm.made, tsm.removed); /* nothing is left behind */
    assert_int_equal(rmdir(root), 0);
    return result;
}

static void clear(struct produced *p)
{
    buffer_clear(&p->report);
    buffer_clear(&p->vek);
}

static void a_report_comes_with_the_hosts_certificate(void **state)
{
    struct certificate_spec spec = vek_spec(&machines[0]);
    struct buffer der = {0};
    struct produced p;
    pki_make(&spec, &der);
    for (unsigned i = 0; i < 3; i++) {
        struct buffer pem = {0};
        tsm_reset();
        x509_pem_append(X509_PEM_CERTIFICATE, der.bytes, der.size_bytes, &pem);
        if (i < 2)
            put_table(&tsm.table, i == 0 ? guid_vcek : guid_vlek_le, der.bytes, der.size_bytes);
        else
            put_table(&tsm.table, guid_vcek, pem.bytes, pem.size_bytes);
        assert_ok(produce(&p), &p.err);
        assert_int_equal(p.report.size_bytes, SEVSNP_REPORT_BYTES);
        assert_memory_equal(p.report.bytes + 0x50, data, sizeof data);
        assert_int_equal(p.vek.size_bytes, der.size_bytes);
        assert_memory_equal(p.vek.bytes, der.bytes, der.size_bytes);
        clear(&p);
        buffer_clear(&pem);
    }
    buffer_clear(&der);
}

static void hosts_need_not_give_certificates(void **state)
{
    struct produced p;
    tsm_reset();
    assert_ok(produce(&p), &p.err);
    assert_int_equal(p.vek.size_bytes, 0);
    clear(&p);
    tsm.without_auxblob = true;
    assert_ok(produce(&p), &p.err);
    assert_int_equal(p.vek.size_bytes, 0);
    assert_int_equal(p.err.text[0], 0);
    clear(&p);
    put_row(&tsm.table, guid_other, 0, 0);
    put_row(&tsm.table, guid_none, 0, 0);
    tsm.without_auxblob = false;
    assert_ok(produce(&p), &p.err);
    assert_int_equal(p.vek.size_bytes, 0);
    clear(&p);
}

static void machines_that_cannot_say_so(void **state)
{
    struct produced p = {0};
    tsm_reset();
    assert_result(LETHE_UNAVAILABLE, sevsnp_produce("/nowhere", data, &p.report, &p.vek, &p.err));
    assert_int_not_equal(p.err.hint[0], 0);
    static const int errors[] = {EACCES, EPERM, ENXIO, EBUSY};
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        tsm.mkdir_errno = errors[i];
        assert_result(LETHE_UNAVAILABLE, produce(&p));
    }
    tsm_reset();
    tsm.provider = "tdx_guest\n";
    assert_result(LETHE_UNAVAILABLE, produce(&p));
    clear(&p);
    tsm_reset();
    tsm.report_bytes = SEVSNP_REPORT_BYTES + 1;
    assert_result(LETHE_UNAVAILABLE, produce(&p));
    clear(&p);
    tsm.report_bytes = 0;
    assert_result(LETHE_UNAVAILABLE, produce(&p));
    clear(&p);
}

static void who_is_disturbed_asks_again(void **state)
{
    struct produced p;
    tsm_reset();
    tsm.disturbed = 2;
    assert_ok(produce(&p), &p.err);
    assert_int_equal(tsm.made, 3);
    clear(&p);
    tsm.disturbed = 3;
    assert_result(LETHE_UNAVAILABLE, produce(&p));
    clear(&p);
    tsm_reset();
    tsm.is_over_other_data = true;
    assert_result(LETHE_UNAVAILABLE, produce(&p));
    clear(&p);
}

static void tables_that_lie_are_refused(void **state)
{
    static const struct {
        uint32_t offset, length;
    } places[] = {{0, 1000}, {1000, 1}, {UINT32_MAX, 1}, {1, UINT32_MAX}, {48, 1}, {0, 0}};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        struct buffer table = {0}, vek = {0};
        struct lethe_error err = {0};
        put_row(&table, guid_vcek, places[i].offset, places[i].length);
        put_row(&table, guid_none, 0, 0);
        assert_result(LETHE_MALFORMED, sevsnp_table_vek(table.bytes, table.size_bytes, &vek, &err));
        assert_int_equal(vek.size_bytes, 0);
        buffer_clear(&table);
        buffer_clear(&vek);
    }
}

static void tables_end(void **state)
{
    struct buffer table = {0}, vek = {0};
    struct lethe_error err = {0};
    for (unsigned i = 0; i < 64; i++)
        put_row(&table, guid_other, 0, 1);
    for (size_t size = 1; size < table.size_bytes; size++)
        assert_result(LETHE_MALFORMED, sevsnp_table_vek(table.bytes, size, &vek, &err));
    put_row(&table, guid_none, 0, 0);
    assert_result(LETHE_MALFORMED, sevsnp_table_vek(table.bytes, table.size_bytes, &vek, &err));
    assert_ok(sevsnp_table_vek("", 0, &vek, &err), &err);
    assert_ok(sevsnp_table_vek(table.bytes + 24 * 60, 24 * 5, &vek, &err), &err);
    assert_int_equal(vek.size_bytes, 0);
    buffer_clear(&table);
}

static int stop(void **state)
{
    buffer_clear(&tsm.table);
    return pki_stop(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_comes_with_the_hosts_certificate),
        cmocka_unit_test(hosts_need_not_give_certificates),
        cmocka_unit_test(machines_that_cannot_say_so),
        cmocka_unit_test(who_is_disturbed_asks_again),
        cmocka_unit_test(tables_that_lie_are_refused),
        cmocka_unit_test(tables_end),
    };
    return cmocka_run_group_tests(tests, pki_start, stop);
}
