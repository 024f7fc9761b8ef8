/* Waits that end at a time of the monotonic clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/cond.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond;
static bool said;

static void test_cond_wait_until_ends_at_its_time(void **state)
{
    uint64_t until_ns = clock_mono_ns() + 20 * NS_PER_MS;
    (void)state;
    cond_init(&cond);
    pthread_mutex_lock(&lock);
    assert_false(cond_wait_until(&cond, &lock, 0));
    while (cond_wait_until(&cond, &lock, until_ns))
        ;
    assert_true(clock_mono_ns() >= until_ns);
    pthread_mutex_unlock(&lock);
    pthread_cond_destroy(&cond);
}

static void *say(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&lock);
    said = true;
    pthread_cond_signal(&cond);
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void test_cond_wait_until_ends_when_it_is_signalled(void **state)
{
    uint64_t until_ns = clock_mono_ns() + 60 * NS_PER_S;
    pthread_t thread;
    (void)state;
    cond_init(&cond);
    pthread_mutex_lock(&lock);
    assert_int_equal(pthread_create(&thread, NULL, say, NULL), 0);
    while (!said)
        assert_true(cond_wait_until(&cond, &lock, until_ns));
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
    pthread_cond_destroy(&cond);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cond_wait_until_ends_at_its_time),
        cmocka_unit_test(test_cond_wait_until_ends_when_it_is_signalled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
