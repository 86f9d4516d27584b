#include "crypto/ipsec.h"

#include <pthread.h>
#include <stdio.h>

#define IDLE_MAX 64u /* managers kept; as many as threads that hash at once (THREADS_MAX) */

static pthread_once_t started = PTHREAD_ONCE_INIT;
static struct IMB_MGR *direct;
static char name[128];

static pthread_mutex_t idle_lock = PTHREAD_MUTEX_INITIALIZER;
static struct IMB_MGR *idle[IDLE_MAX]; /* under idle_lock */
static size_t idle_count;              /* under idle_lock */

static const struct {
    uint64_t feature;
    const char *fault;
} needs[] = {
    {IMB_FEATURE_AESNI, "this CPU has no AES-NI"},
    {IMB_FEATURE_PCLMULQDQ, "this CPU has no PCLMULQDQ"},
    {IMB_FEATURE_SAFE_DATA, "it was built without SAFE_DATA"},
};

/* Why a manager cannot be used, or NULL. */
static const char *fault_of(struct IMB_MGR *manager)
{
    uint64_t features = manager->features;
    for (size_t i = 0; i < ARRAY_LEN(needs); i++)
        if (!(features & needs[i].feature))
            return needs[i].fault;
    if ((features & IMB_FEATURE_SELF_TEST) && !(features & IMB_FEATURE_SELF_TEST_PASS))
        return "its self-test failed";
    return imb_get_errno(manager) == 0 ? NULL : imb_get_strerror(imb_get_errno(manager));
}

static struct IMB_MGR *manager_create(IMB_ARCH *arch, const char **fault)
{
    struct IMB_MGR *manager = alloc_mb_mgr(0);
    if (manager == NULL) {
        *fault = "out of memory";
        return NULL;
    }
    init_mb_mgr_auto(manager, arch);
    *fault = fault_of(manager);
    if (*fault == NULL)
        return manager;
    free_mb_mgr(manager);
    return NULL;
}

static void start(void)
{
    static const char *const arch_names[IMB_ARCH_NUM] = {
        [IMB_ARCH_SSE] = "SSE",
        [IMB_ARCH_AVX] = "AVX",
        [IMB_ARCH_AVX2] = "AVX2",
        [IMB_ARCH_AVX512] = "AVX512",
    };
    IMB_ARCH arch = IMB_ARCH_NONE;
    const char *fault = NULL;
    direct = manager_create(&arch, &fault);
    if (direct == NULL) {
        snprintf(name, sizeof name, "intel-ipsec-mb (unused: %s)", fault);
        return;
    }
    const char *arch_name = arch_names[arch] != NULL ? arch_names[arch] : "unknown";
    snprintf(name, sizeof name, "intel-ipsec-mb %s (%s%s)", imb_get_version_str(), arch_name,
             direct->features & IMB_FEATURE_VAES ? ", VAES" : "");
}

const struct IMB_MGR *ipsec_direct(void)
{
    REQUIRE(pthread_once(&started, start) == 0);
    return direct;
}

const char *ipsec_name(void)
{
    (void)ipsec_direct();
    return name;
}

struct IMB_MGR *ipsec_borrow(void)
{
    if (ipsec_direct() == NULL)
        return NULL;
    pthread_mutex_lock(&idle_lock);
    struct IMB_MGR *manager = idle_count > 0 ? idle[--idle_count] : NULL;
    pthread_mutex_unlock(&idle_lock);

    IMB_ARCH arch;
    const char *fault;
    return manager != NULL ? manager : manager_create(&arch, &fault);
}

void ipsec_give_back(struct IMB_MGR *manager)
{
    pthread_mutex_lock(&idle_lock);
    bool keep = idle_count < IDLE_MAX;
    if (keep)
        idle[idle_count++] = manager;
    pthread_mutex_unlock(&idle_lock);
    if (!keep)
        free_mb_mgr(manager);
}
