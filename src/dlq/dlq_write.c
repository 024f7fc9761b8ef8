/* One record; see dlq_write.h. It frees itself when the producer is done with it. */
#include "dlq/dlq_write.h"

#include "base/buf.h"
#include "base/mem.h"

struct writing {
    struct produce msg;
    struct buf key, value;
    char *topic;
    void (*done)(void *arg, const struct err *err);
    void *arg;
};

static void written(struct produce *msg)
{
    struct writing *writing = msg->arg;
    struct err err = {0};
    if (msg->result != PRODUCE_ACKED) {
        err = msg->err;
        if (err.code == ERR_NONE)
            err_set(&err, ERR_CANCELLED, "given up before the brokers answered");
        err_prefix(&err, "%s", writing->topic);
    }
    if (writing->done)
        writing->done(writing->arg, err.code ? &err : NULL);
    buf_deinit(&writing->key);
    buf_deinit(&writing->value);
    mem_free(writing->topic);
    mem_free(writing);
}

void dlq_write(struct kafka_producer *producer, const char *topic, int32_t partition,
               struct slice key, struct slice value, void (*done)(void *arg, const struct err *err),
               void *arg)
{
    struct writing *writing = mem_zalloc(sizeof(*writing));
    buf_add_slice(&writing->key, key);
    buf_add_slice(&writing->value, value);
    writing->topic = mem_strdup(topic);
    writing->done = done;
    writing->arg = arg;
    writing->msg = (struct produce){
        .topic = writing->topic,
        .partition = partition,
        .key = slice_is_null(key) ? SLICE_NULL : buf_slice(&writing->key),
        .value = slice_is_null(value) ? SLICE_NULL : buf_slice(&writing->value),
        .done = written,
        .arg = writing};
    kafka_producer_send(producer, &writing->msg);
}
