#include "x509_check.h"

#define SPIFFE "spiffe://lethe.test/tenant/acme/api"

/* A root, an authority below it, and somebody. */
struct family {
    struct holder root, middle, leaf;
    struct buffer chain, roots, crls;
};

static struct x509_template leaf_template(void)
{
    struct x509_template t = template_of("api", 3);
    t.subject.uris = (struct x509_list){.at = {SPIFFE}, .count = 1};
    t.subject.dns_names = (struct x509_list){.at = {"api.lethe.test"}, .count = 1};
    t.extended_usage = X509_CLIENT_AUTH;
    return t;
}

static struct x509_template middle_template(void)
{
    struct x509_template t = template_of("Issuing", 2);
    t.is_ca = true;
    t.max_path_length = 0;
    return t;
}

static void put(struct buffer *list, const struct buffer *der)
{
    buffer_prefixed(list, der->bytes, der->size_bytes);
}

static struct family make_family(const struct x509_template *middle,
                                 const struct x509_template *leaf)
{
    struct family f = {.root = make_root("Root", SIGNATURE_ECDSA_P256)};
    f.middle = make_holder(middle, &f.root, SIGNATURE_ECDSA_P256);
    f.leaf = make_holder(leaf, &f.middle, SIGNATURE_ECDSA_P256);
    put(&f.chain, &f.leaf.der);
    put(&f.chain, &f.middle.der);
    put(&f.roots, &f.root.der);
    return f;
}

static void family_clear(struct family *f)
{
    holder_clear(&f->root);
    holder_clear(&f->middle);
    holder_clear(&f->leaf);
    buffer_clear(&f->chain);
    buffer_clear(&f->roots);
    buffer_clear(&f->crls);
}
static void family_clear_at_scope_end(struct family *f)
{
    family_clear(f);
}

static struct x509_check check_of(const struct family *f)
{
    return (struct x509_check){
        .chain = f->chain.bytes,
        .chain_bytes = f->chain.size_bytes,
        .roots = f->roots.bytes,
        .roots_bytes = f->roots.size_bytes,
        .crls = f->crls.bytes,
        .crls_bytes = f->crls.size_bytes,
        .now_s = NOW_S,
        .extended_usage = X509_CLIENT_AUTH,
    };
}

static lethe_result run(const struct x509_check *check, struct lethe_error *err)
{
    CLEANUP(x509_summary_clear) struct x509_summary leaf = {0};
    lethe_result result = x509_check_chain(check, &leaf, err);
    assert_int_equal(leaf.storage.bytes != NULL, result == LETHE_OK);
    return result;
}

static void assert_denied(const struct x509_check *check, const char *why)
{
    struct lethe_error err = {0};
    assert_result(LETHE_DENIED, run(check, &err));
    if (strstr(err.text, why) == NULL)
        fail_msg("expected '%s' in: %s", why, err.text);
}

static struct family usual_family(void)
{
    struct x509_template middle = middle_template(), leaf = leaf_template();
    return make_family(&middle, &leaf);
}

/* P-3: a chain that leads to a root says whose it is. */
static void test_a_good_chain(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(family_clear) struct family f = usual_family();
    struct x509_check check = check_of(&f);
    CLEANUP(x509_summary_clear) struct x509_summary leaf = {0};
    assert_ok(x509_check_chain(&check, &leaf, &err), &err);
    assert_string_equal(leaf.subject.uris.at[0], SPIFFE);
    check.extended_usage = 0;
    assert_ok(run(&check, &err), &err);
}

static void test_times(void **state)
{
    CLEANUP(family_clear) struct family f = usual_family();
    struct x509_check check = check_of(&f);
    check.now_s = NOW_S + 2 * DAY_S;
    assert_denied(&check, "expired");
    check.now_s = NOW_S - 2 * DAY_S;
    assert_denied(&check, "not yet valid");
}

static void test_usages(void **state)
{
    CLEANUP(family_clear) struct family f = usual_family();
    struct x509_check check = check_of(&f);
    check.extended_usage = X509_SERVER_AUTH;
    assert_denied(&check, "purpose");
    check.extended_usage = X509_CODE_SIGNING;
    assert_denied(&check, "usage");
    struct x509_template middle = middle_template(), leaf = leaf_template();
    leaf.extended_usage = 0;
    CLEANUP(family_clear) struct family any = make_family(&middle, &leaf);
    check = check_of(&any);
    assert_denied(&check, "usage");
    check.extended_usage = 0;
    assert_result(LETHE_OK, run(&check, NULL));
}

/* Somebody's own certificate signs nobody else's: x509_issue() would not, so a key does it here
 * whose certificate is then shown with another's name. */
static void test_who_is_no_authority(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(family_clear) struct family f = usual_family();
    struct x509_template as_ca = leaf_template();
    as_ca.is_ca = true;
    as_ca.extended_usage = 0;
    struct buffer disguise = {0};
    assert_ok(
        x509_issue(&as_ca, sign_pair_public(f.leaf.pair), f.leaf.pair, NULL, 0, &disguise, &err),
        &err);
    struct holder forger = {.pair = f.leaf.pair, .der = disguise};
    struct x509_template t = leaf_template();
    t.subject.common_name = "victim";
    CLEANUP(holder_clear) struct holder victim = make_holder(&t, &forger, SIGNATURE_ECDSA_P256);
    struct buffer chain = {0};
    put(&chain, &victim.der);
    put(&chain, &f.leaf.der);
    put(&chain, &f.middle.der);
    struct x509_check check = check_of(&f);
    check.chain = chain.bytes;
    check.chain_bytes = chain.size_bytes;
    assert_denied(&check, "CA certificate");
    buffer_clear(&chain);
    buffer_clear(&disguise);
}

static void test_path_length(void **state)
{
    CLEANUP(family_clear) struct family f = usual_family();
    struct x509_template t = middle_template(), l = leaf_template();
    t.subject.common_name = "One too many";
    CLEANUP(holder_clear) struct holder extra = make_holder(&t, &f.middle, SIGNATURE_ECDSA_P256);
    CLEANUP(holder_clear) struct holder leaf = make_holder(&l, &extra, SIGNATURE_ECDSA_P256);
    struct buffer chain = {0};
    put(&chain, &leaf.der);
    put(&chain, &extra.der);
    put(&chain, &f.middle.der);
    struct x509_check check = check_of(&f);
    check.chain = chain.bytes;
    check.chain_bytes = chain.size_bytes;
    assert_denied(&check, "path length");
    buffer_clear(&chain);
}

static void test_name_constraints(void **state)
{
    struct x509_template middle = middle_template(), leaf = leaf_template();
    middle.permitted_dns = (struct x509_list){.at = {"lethe.test"}, .count = 1};
    CLEANUP(family_clear) struct family inside = make_family(&middle, &leaf);
    struct x509_check check = check_of(&inside);
    assert_result(LETHE_OK, run(&check, NULL));
    leaf.subject.dns_names.at[0] = "api.evil.test";
    CLEANUP(family_clear) struct family outside = make_family(&middle, &leaf);
    check = check_of(&outside);
    assert_denied(&check, "permitted subtree");
}

static void test_who_is_not_believed(void **state)
{
    CLEANUP(family_clear) struct family f = usual_family();
    CLEANUP(family_clear) struct family other = usual_family();
    struct x509_check check = check_of(&f);
    check.roots = other.roots.bytes;
    check.roots_bytes = other.roots.size_bytes;
    struct lethe_error err = {0};
    assert_result(LETHE_DENIED, run(&check, &err));
    check.roots_bytes = 0;
    assert_result(LETHE_DENIED, run(&check, &err));
    check = check_of(&f);
    check.chain_bytes = 4 + f.leaf.der.size_bytes; /* without the authority between */
    assert_denied(&check, "issuer certificate");
    put(&f.chain, &f.root.der); /* a root that the peer brings changes nothing */
    check = check_of(&f);
    assert_result(LETHE_OK, run(&check, NULL));
    check.roots = other.roots.bytes;
    check.roots_bytes = other.roots.size_bytes;
    assert_result(LETHE_DENIED, run(&check, &err));
}

/* Every bit of what the peer shows counts; a sample of bits has all bytes, and all of a byte's
 * bits. */
static void test_every_byte_of_a_chain(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(family_clear) struct family f = usual_family();
    struct x509_check check = check_of(&f);
    size_t stride = table_stride(7);
    for (size_t at = 0; at < f.chain.size_bytes * 8; at += stride) {
        char flip = (char)(1 << at % 8);
        f.chain.bytes[at / 8] ^= flip;
        lethe_result got = run(&check, &err);
        if (got != LETHE_DENIED && got != LETHE_MALFORMED)
            fail_msg("byte %zu, bit %zu: %s", at / 8, at % 8, lethe_result_name(got));
        f.chain.bytes[at / 8] ^= flip;
    }
    assert_ok(run(&check, &err), &err);
}

static void test_lists_that_lie(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(family_clear) struct family f = usual_family();
    struct x509_check check = check_of(&f);
    for (size_t size = 0; size < f.chain.size_bytes; size++) {
        check.chain_bytes = size;
        lethe_result got = run(&check, &err);
        assert_true(got == LETHE_MALFORMED ||
                    (got == LETHE_DENIED && size == 4 + f.leaf.der.size_bytes));
    }
    for (unsigned i = 0; i < X509_CHAIN_MAX; i++)
        put(&f.chain, &f.middle.der);
    check = check_of(&f);
    assert_result(LETHE_MALFORMED, run(&check, &err));
}

/* ---- CRLs ------------------------------------------------------------------------------------ */

static struct buffer crl_of(const struct holder *issuer, const struct x509_revoked *revoked,
                            size_t count, uint64_t next_s)
{
    struct lethe_error err = {0};
    struct buffer der = {0};
    const struct x509_crl_template t = {
        .revoked = revoked, .count = count, .number = 5, .this_s = NOW_S - 60, .next_s = next_s};
    assert_ok(
        x509_make_crl(&t, issuer->pair, issuer->der.bytes, issuer->der.size_bytes, &der, &err),
        &err);
    return der;
}

static struct x509_revoked revoked_of(const struct x509_template *t)
{
    struct x509_revoked r = {.serial_bytes = X509_SERIAL_BYTES, .revoked_s = NOW_S - 120};
    memcpy(r.serial, t->serial, X509_SERIAL_BYTES);
    return r;
}

static lethe_result run_with_crl(struct family *f, const struct buffer *crl, uint64_t now_s)
{
    struct lethe_error err = {0};
    buffer_truncate(&f->crls, 0);
    put(&f->crls, crl);
    struct x509_check check = check_of(f);
    check.now_s = now_s;
    return run(&check, &err);
}

/* K-10: whose certificate is in the CRL of its issuer is refused, and so is everyone below. */
static void test_crls(void **state)
{
    CLEANUP(family_clear) struct family f = usual_family();
    struct x509_template leaf = leaf_template(), middle = middle_template();
    struct x509_revoked bad_leaf = revoked_of(&leaf), bad_middle = revoked_of(&middle);
    struct buffer none = crl_of(&f.middle, NULL, 0, NOW_S + 3600);
    struct buffer with_leaf = crl_of(&f.middle, &bad_leaf, 1, NOW_S + 3600);
    struct buffer with_middle = crl_of(&f.root, &bad_middle, 1, NOW_S + 3600);
    struct buffer other_serial = crl_of(&f.middle, &bad_middle, 1, NOW_S + 3600);
    assert_result(LETHE_OK, run_with_crl(&f, &none, NOW_S));
    assert_result(LETHE_REVOKED, run_with_crl(&f, &with_leaf, NOW_S));
    assert_result(LETHE_REVOKED, run_with_crl(&f, &with_middle, NOW_S));
    assert_result(LETHE_OK, run_with_crl(&f, &other_serial, NOW_S));
    assert_result(LETHE_DENIED, run_with_crl(&f, &none, NOW_S + 3601)); /* an old list */
    none.bytes[none.size_bytes - 1] ^= 1;
    assert_result(LETHE_DENIED, run_with_crl(&f, &none, NOW_S)); /* nobody's list */
    buffer_clear(&none);
    buffer_clear(&with_leaf);
    buffer_clear(&with_middle);
    buffer_clear(&other_serial);
}

static int verify(const char *directory, const char *crl)
{
    return openssl_tool("verify -x509_strict -crl_check -attime %llu -CAfile %s/root "
                        "-untrusted %s/middle -CRLfile %s/%s %s/leaf",
                        (unsigned long long)NOW_S, directory, directory, directory, crl, directory);
}

static void test_openssl_reads_our_crl(void **state)
{
    CLEANUP(memory_free) char *directory = temp_dir();
    CLEANUP(family_clear) struct family f = usual_family();
    struct x509_template leaf = leaf_template();
    struct x509_revoked bad_leaf = revoked_of(&leaf);
    struct buffer none = crl_of(&f.middle, NULL, 0, NOW_S + 3600);
    struct buffer with_leaf = crl_of(&f.middle, &bad_leaf, 1, NOW_S + 3600);
    put_pem(path_in(directory, "root"), X509_PEM_CERTIFICATE, &f.root.der);
    put_pem(path_in(directory, "middle"), X509_PEM_CERTIFICATE, &f.middle.der);
    put_pem(path_in(directory, "leaf"), X509_PEM_CERTIFICATE, &f.leaf.der);
    put_pem(path_in(directory, "none"), X509_PEM_CRL, &none);
    put_pem(path_in(directory, "revoked"), X509_PEM_CRL, &with_leaf);
    if (verify(directory, "none") != 0)
        fail_msg("%s", tool_output);
    assert_int_not_equal(verify(directory, "revoked"), 0);
    assert_non_null(strstr(tool_output, "certificate revoked"));
    assert_int_equal(openssl_tool("crl -noout -text -in %s/revoked", directory), 0);
    assert_non_null(strstr(tool_output, "X509v3 CRL Number: \n                5"));
    buffer_clear(&none);
    buffer_clear(&with_leaf);
}

static void test_refuses_to_make_a_crl(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(family_clear) struct family f = usual_family();
    struct buffer der = {0};
    struct x509_crl_template t = {.this_s = NOW_S, .next_s = NOW_S - 1};
    assert_result(LETHE_INVALID, x509_make_crl(&t, f.root.pair, f.root.der.bytes,
                                               f.root.der.size_bytes, &der, &err));
    t.next_s = NOW_S + 1;
    assert_result(LETHE_INVALID, x509_make_crl(&t, f.leaf.pair, f.root.der.bytes,
                                               f.root.der.size_bytes, &der, &err));
    assert_int_equal(der.size_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_good_chain),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_usages),
        cmocka_unit_test(test_who_is_no_authority),
        cmocka_unit_test(test_path_length),
        cmocka_unit_test(test_name_constraints),
        cmocka_unit_test(test_who_is_not_believed),
        cmocka_unit_test(test_every_byte_of_a_chain),
        cmocka_unit_test(test_lists_that_lie),
        cmocka_unit_test(test_crls),
        cmocka_unit_test(test_openssl_reads_our_crl),
        cmocka_unit_test(test_refuses_to_make_a_crl),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
