/* How librdkafka's queues wake the loop. No broker is wanted. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "kafka/wake.h"

enum { POLL_MS = 10, WAIT_MS = 20000 };

struct world {
    struct loop *loop;
    struct loop_timer limit;
    rd_kafka_t *rk;
    unsigned errors;
};

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct world *world = opaque;

    (void)rk, (void)code, (void)reason;
    world->errors++;
}

static void on_wake(void *arg)
{
    struct world *world = arg;

    rd_kafka_poll(world->rk, 0);
    if (world->errors > 0)
        loop_stop(world->loop);
}

static void on_limit(void *arg)
{
    struct world *world = arg;

    loop_stop(world->loop);
}

/* A client whose broker is away tells so at once: it may be there before the queue is attached, and
 * as long as it is there nothing that comes after it signals. */
static void test_wake_of_what_came_before_the_attachment(void **state)
{
    struct world world = {0};
    struct err err = {0};
    struct wake wake;
    char text[200];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    (void)state;
    world.loop = loop_new(&err);
    assert_non_null(world.loop);
    loop_timer_init(&world.limit, world.loop, on_limit, &world);
    rd_kafka_conf_set_opaque(conf, &world);
    rd_kafka_conf_set_error_cb(conf, on_error);
    assert_int_equal(
        rd_kafka_conf_set(conf, "bootstrap.servers", "127.0.0.1:1", text, sizeof(text)),
        RD_KAFKA_CONF_OK);
    world.rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    assert_non_null(world.rk);
    assert_true(wake_init(&wake, world.loop, on_wake, &world, &err));
    for (int ms = 0; rd_kafka_outq_len(world.rk) == 0 && ms < WAIT_MS; ms += POLL_MS)
        poll(NULL, 0, POLL_MS); /* of the client's own calls each would take what it has */
    assert_true(rd_kafka_outq_len(world.rk) > 0);

    rd_kafka_queue_t *queue = rd_kafka_queue_get_main(world.rk);
    wake_attach(&wake, queue);
    loop_timer_set_ms(&world.limit, WAIT_MS);
    loop_run(world.loop);
    assert_true(world.errors > 0);

    wake_detach(queue);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(world.rk);
    wake_deinit(&wake);
    loop_timer_deinit(&world.limit);
    loop_free(&world.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wake_of_what_came_before_the_attachment),
    };

    return cmocka_run_group_tests_name("kafka_wake", tests, NULL, NULL);
}
