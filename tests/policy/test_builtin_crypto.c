#include "check.h"

#include "builtin_call.h"

static const struct builtin_caller plain;

static void only_texts_are_taken(void **state)
{
    static const struct builtin_example examples[] = {
        {"crypto.md5", "[1]",
         "eval_type_error: crypto.md5: operand 1 must be string but got number"},
        {"crypto.sha256", "[{\"$set\": []}]",
         "eval_type_error: crypto.sha256: operand 1 must be string but got set"},
        {"crypto.hmac.sha512", "[\"a\", null]",
         "eval_type_error: crypto.hmac.sha512: operand 2 must be string but got null"},
        {"crypto.hmac.equal", "[[], \"\"]",
         "eval_type_error: crypto.hmac.equal: operand 1 must be string but got array"},
    };
    BUILTIN_CHECK(&plain, examples);
}

/* Keys and certificates are not read here: who asks for that is told when the policy is loaded. */
static void what_is_not_offered_has_no_name(void **state)
{
    static const char *const names[] = {
        "crypto.x509.parse_certificates",
        "crypto.parse_private_keys",
        "io.jwt.verify_hs256",
        "crypto.sha512",
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_null(builtin_find(names[i], strlen(names[i]), true));
}

static void codes_are_equal_in_every_byte_or_they_are_not(void **state)
{
    static const struct builtin_example examples[] = {
        {"crypto.hmac.equal", "[\"31b6\", \"31b6\"]", "true"},
        {"crypto.hmac.equal", "[\"31b6\", \"31b7\"]", "false"},
        {"crypto.hmac.equal", "[\"31b6\", \"31B6\"]", "false"},
        {"crypto.hmac.equal", "[\"31b6\", \"31b\"]", "false"},
        {"crypto.hmac.equal", "[\"\", \"\"]", "true"},
        {"crypto.hmac.equal", "[\"a\\u0000b\", \"a\\u0000c\"]", "false"},
    };
    BUILTIN_CHECK(&plain, examples);
}

/* Made by Python's hashlib and hmac. Operands of hmac: message, key. */
static void digests_are_those_of_another_implementation(void **state)
{
    static const struct builtin_example examples[] = {
        {"crypto.md5", "[\"\"]", "\"d41d8cd98f00b204e9800998ecf8427e\""},
        {"crypto.sha1", "[\"\"]", "\"da39a3ee5e6b4b0d3255bfef95601890afd80709\""},
        {"crypto.sha256", "[\"\"]",
         "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\""},
        {"crypto.md5", "[\"a\"]", "\"0cc175b9c0f1b6a831c399e269772661\""},
        {"crypto.sha1", "[\"a\"]", "\"86f7e437faa5a7fce15d1ddcb9eaeaea377667b8\""},
        {"crypto.sha256", "[\"a\"]",
         "\"ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb\""},
        {"crypto.md5", "[\"lorem ipsum\"]", "\"80a751fde577028640c419000e33eba6\""},
        {"crypto.sha1", "[\"lorem ipsum\"]", "\"bfb7759a67daeb65410490b4d98bb9da7d1ea2ce\""},
        {"crypto.sha256", "[\"lorem ipsum\"]",
         "\"5e2bf57d3f40c4b6df69daf1936cb766f832374b4fc0259a7cbff06e2f70f269\""},
        {"crypto.md5", "[\"\\u79d8\\u5bc6\\u306e\"]", "\"0f743b4113c08d6429aac863cc947822\""},
        {"crypto.sha1", "[\"\\u79d8\\u5bc6\\u306e\"]",
         "\"be9ba64163f680ea5b6dcdd0e8a6b092957a8464\""},
        {"crypto.sha256", "[\"\\u79d8\\u5bc6\\u306e\"]",
         "\"52ab3beba0aba3a05f1103863a550b585540142e60e2c3edbfe28100db986720\""},
        {"crypto.md5", "[\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"]",
         "\"7dc2ca208106a2f703567bdff99d8981\""},
        {"crypto.sha1", "[\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"]",
         "\"0ddc4e0cccd9a12850deb5abb0853a4425559fec\""},
        {"crypto.sha256", "[\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"]",
         "\"75220b47218278e656f2013bb8f0c455a25eaf01e86c64924e9d48d89776d6f2\""},
        {"crypto.md5", "[\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"]",
         "\"c1bb4f81d892b2d57947682aeb252456\""},
        {"crypto.sha1", "[\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"]",
         "\"bb2fa3ee7afb9f54c6dfb5d021f14b1ffe40c163\""},
        {"crypto.sha256", "[\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"]",
         "\"7ce100971f64e7001e8fe5a51973ecdfe1ced42befe7ee8d5fd6219506b5393c\""},
        {"crypto.md5", "[\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"]",
         "\"1bc932052302d074bdec39795fe00cf6\""},
        {"crypto.sha1", "[\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"]",
         "\"78c741ddc482e4cdf8c474a0876347a0905b6233\""},
        {"crypto.sha256", "[\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"]",
         "\"9537c5fdf120482f7d58d25e9ed583f52c02b4e304ea814db1633ad565aed7e9\""},
        {"crypto.md5",
         "[\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
         "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"]",
         "\"9271a3a300dc75732407f49a6963a7c9\""},
        {"crypto.sha1",
         "[\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
         "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"]",
         "\"7408cbb942f86fcc99bc200f257094bc32032de8\""},
        {"crypto.sha256",
         "[\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
         "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"]",
         "\"35152bb05b9c4a3b43a4dd8a702e89e6c39a8c7fb7bc9938975182d7587ec986\""},
        {"crypto.md5", "[\"q\\\"\\\\\"]", "\"8f2c64026d181f867530faf2e1a6ebe4\""},
        {"crypto.sha1", "[\"q\\\"\\\\\"]", "\"608ca80a64d4c81c7ebd041a9d02fb3f50be9c96\""},
        {"crypto.sha256", "[\"q\\\"\\\\\"]",
         "\"75d820327e27a204de513436de536fb1b26e6800eb8a77c8e007921fdea8d5ad\""},
        {"crypto.hmac.md5", "[\"\", \"a\"]", "\"e42235ff5af2c1446a3957f5b380fe06\""},
        {"crypto.hmac.sha1", "[\"\", \"a\"]", "\"0d52c8826c64273943e97610abe886c862af2fb8\""},
        {"crypto.hmac.sha256", "[\"\", \"a\"]",
         "\"3acdaa86b3d73e8d18b7019d3f520000531a23db3b6dda7a94ad28db61a9008c\""},
        {"crypto.hmac.sha512", "[\"\", \"a\"]",
         "\"b37ee7821bf96e293def120539070a3010f69c37a247bb4bc1344d3491b89844525519df30d89a49d253790"
         "5b30cfa7f3a6ee54324eb1c280af5a747f3baaac5\""},
        {"crypto.hmac.md5", "[\"a\", \"lorem ipsum\"]", "\"169a6a683c52397daa6b739835334383\""},
        {"crypto.hmac.sha1", "[\"a\", \"lorem ipsum\"]",
         "\"bfae225ce461a11ee7b400470508f8d0132cb3ee\""},
        {"crypto.hmac.sha256", "[\"a\", \"lorem ipsum\"]",
         "\"9043151ff0ea117c76354ad003f293a409a6b21c0bc1a4e9b8d96472ef950ae7\""},
        {"crypto.hmac.sha512", "[\"a\", \"lorem ipsum\"]",
         "\"543bc381155e16f1062ffbde8ba5dfd855101b599c67c12a6d37f85c6be5c17083ac16f370d84c87819d1da"
         "92a9b0a7f566378aebd4557ab84a5715876ee3951\""},
        {"crypto.hmac.md5", "[\"lorem ipsum\", \"\\u79d8\\u5bc6\\u306e\"]",
         "\"efead4f940e42917a58af6512f04ab5d\""},
        {"crypto.hmac.sha1", "[\"lorem ipsum\", \"\\u79d8\\u5bc6\\u306e\"]",
         "\"c3d2b932e00835910d321894ad4d5a56d48a3a76\""},
        {"crypto.hmac.sha256", "[\"lorem ipsum\", \"\\u79d8\\u5bc6\\u306e\"]",
         "\"7851986a56f58d3aab4972ff624a0b682c8552a54205329ca0c4464ffc59574e\""},
        {"crypto.hmac.sha512", "[\"lorem ipsum\", \"\\u79d8\\u5bc6\\u306e\"]",
         "\"7d4859852202a879977bcefff115eb388de9b8999cc638b65f3caf97125f9d371e5b86d34365026a6d04d66"
         "b60441dea503b1067572dcbc17a27d1dd6e234498\""},
        {"crypto.hmac.md5",
         "[\"\\u79d8\\u5bc6\\u306e\", "
         "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"]",
         "\"4e37b2538f537f58f95094d060200ac6\""},
        {"crypto.hmac.sha1",
         "[\"\\u79d8\\u5bc6\\u306e\", "
         "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"]",
         "\"a26f9742d933a7e6dfb67035bfc7ef093a36d558\""},
        {"crypto.hmac.sha256",
         "[\"\\u79d8\\u5bc6\\u306e\", "
         "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"]",
         "\"9fa9a5d9bcc0bee0f6e7f791990956cacf5be630bdee5dec1a4ce618f263cb71\""},
        {"crypto.hmac.sha512",
         "[\"\\u79d8\\u5bc6\\u306e\", "
         "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"]",
         "\"0bc664681f45d69b7991c5435cc14c15f23d0e485a5c1a0ef637645285ae2edd7b986ab1aff9edc14f46e83"
         "b288cc46028c3cf793be9b89f344a868c4a7f58a7\""},
        {"crypto.hmac.md5",
         "[\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\", "
         "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"]",
         "\"f97131eb7a88620c359288eab279300d\""},
        {"crypto.hmac.sha1",
         "[\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\", "
         "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"]",
         "\"9069881b4cb497b6fc78b033b5dbe2ed17081216\""},
        {"crypto.hmac.sha256",
         "[\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\", "
         "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"]",
         "\"9b983a7fe0a6eb274d347c8e0c8ea7b273dacbd38c897d3e32e63aa90bb8c8e7\""},
        {"crypto.hmac.sha512",
         "[\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\", "
         "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"]",
         "\"b2016d548a5d2030163e9dd3f4b7fcbee6f8a7feb2b01366bd56d5dc4f217586e7f85b9635d0ea6eb48dbd0"
         "56ee4cf269138c9e775bc5592db456ae901aacd8a\""},
        {"crypto.hmac.md5",
         "[\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\", "
         "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"]",
         "\"dde50686d4eac5a93eff75b0aa3d3def\""},
        {"crypto.hmac.sha1",
         "[\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\", "
         "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"]",
         "\"a18af5fae5592778637ea3c84b651e0cf7d3959c\""},
        {"crypto.hmac.sha256",
         "[\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\", "
         "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"]",
         "\"6914f7d316427d3255f7f31ec3a4c37c9f36421a15d8fa2e89e58830deec231e\""},
        {"crypto.hmac.sha512",
         "[\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\", "
         "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"]",
         "\"3d846ecff4124d7324f196083b334792ca29cd162bbf707676dc53f747fd5f246f8d7d6fa4a1342d3546fbb"
         "bd9c5b1aaade669edd8dc25610618ee459c755b0a\""},
        {"crypto.hmac.md5",
         "[\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\", "
         "\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
         "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"]",
         "\"bc3649bd6f43532811af21fe3f740260\""},
        {"crypto.hmac.sha1",
         "[\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\", "
         "\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
         "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"]",
         "\"a2668731181c28cc3f784ec63b11015b532e6431\""},
        {"crypto.hmac.sha256",
         "[\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\", "
         "\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
         "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"]",
         "\"4dba1ec88957c8b990ed34cea147a5b054661d3b99346f34ec19a3c529c3a70d\""},
        {"crypto.hmac.sha512",
         "[\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\", "
         "\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
         "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"]",
         "\"b4e34252355133f169017018ac1f35d1f3453795b62f621f4aa293919d0a67e29b926383c6778fa88a9d0a2"
         "cc2bb772dedee05912fc2958fa9bdf37eafb8b2e7\""},
        {"crypto.hmac.md5",
         "[\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
         "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\", \"q\\\"\\\\\"]",
         "\"b40d94b8829518fe13427aee0263f505\""},
        {"crypto.hmac.sha1",
         "[\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
         "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\", \"q\\\"\\\\\"]",
         "\"5de66288680aa7078a82f8b9bd203239fc6eb4cb\""},
        {"crypto.hmac.sha256",
         "[\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
         "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\", \"q\\\"\\\\\"]",
         "\"faad8950702c268ea6d9134ca1fca686dd2496d9e0faaac2db9cc1ec1b0aea2b\""},
        {"crypto.hmac.sha512",
         "[\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
         "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\", \"q\\\"\\\\\"]",
         "\"644f5f9e5d1b567dcff0ef1cb9dce5ba8c02d1fc80c7e3cb68207477e4acb04108c4f8e3365af22753ba94e"
         "456c9078959542ff99284836718c5da4e1a3a7a76\""},
        {"crypto.hmac.md5", "[\"q\\\"\\\\\", \"\"]", "\"1cec8ecae42f049b0bac563ce8d82bc0\""},
        {"crypto.hmac.sha1", "[\"q\\\"\\\\\", \"\"]",
         "\"56d86f05e443457c23f8fbefb02d988a007c5e8e\""},
        {"crypto.hmac.sha256", "[\"q\\\"\\\\\", \"\"]",
         "\"e8be4755982ef1e6b26931acc902042e49e6ed364baf4eece102e91402df460f\""},
        {"crypto.hmac.sha512", "[\"q\\\"\\\\\", \"\"]",
         "\"456051e105825e632fff282f283e18b8ba8e1c827235ef696884fcef38b2b9f94b65704cc58e2e5594b27f7"
         "c55963bf43085950fc8766a1ed789d58f15c783f3\""},
    };
    BUILTIN_CHECK(&plain, examples);
}

static void long_texts_cost_steps(void **state)
{
    static const struct builtin_caller poor = {.steps = 4096};
    CLEANUP(buffer_clear) struct buffer operands = {0};
    CLEANUP(buffer_clear) struct buffer out = {0};
    buffer_text(&operands, "[\"");
    for (int i = 0; i < 512 * 1024; i++)
        buffer_byte(&operands, 'x');
    buffer_text(&operands, "\"]");
    builtin_call_text(&poor, "crypto.sha256", operands.bytes, &out);
    assert_string_equal(out.bytes, "limit");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_texts_are_taken),
        cmocka_unit_test(what_is_not_offered_has_no_name),
        cmocka_unit_test(codes_are_equal_in_every_byte_or_they_are_not),
        cmocka_unit_test(digests_are_those_of_another_implementation),
        cmocka_unit_test(long_texts_cost_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
