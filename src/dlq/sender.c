/* Records on their way; see sender.h. Turns its user's loop until they are acknowledged, and gives
 * up where nothing at all has happened for a while: a command must end. */
#include "dlq/sender.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "dlq/patience.h"
#include "record/audit_entry.h"

#define IN_FLIGHT_MAX 2000

struct message {
    struct produce produce;
    struct dlq_sender *sender;
    void *owner;
    void (*release)(void *owner);
};

struct dlq_sender {
    struct loop *loop;
    struct kafka_producer *producer;
    struct patience patience;
    size_t in_flight;
    uint64_t sent, failed;
    struct err err; /* of the first refusal */
};

struct dlq_sender *dlq_sender_new(struct loop *loop, const struct config *config, struct err *err)
{
    struct dlq_sender *sender = mem_zalloc(sizeof(*sender));
    sender->loop = loop;
    sender->producer = kafka_producer_new(loop, config, NULL, err);
    if (sender->producer) {
        patience_begin(&sender->patience, loop);
        return sender;
    }
    mem_free(sender);
    return NULL;
}

void dlq_sender_free(struct dlq_sender **pointer)
{
    struct dlq_sender *sender = *pointer;
    if (!sender)
        return;
    *pointer = NULL;
    kafka_producer_free(&sender->producer);
    patience_end(&sender->patience);
    mem_free(sender);
}

static void on_sent(struct produce *produce)
{
    struct message *message = produce->arg;
    struct dlq_sender *sender = message->sender;
    sender->in_flight--;
    patience_moved(&sender->patience);
    if (produce->result == PRODUCE_ACKED) {
        sender->sent++;
    } else {
        if (sender->failed++ == 0)
            sender->err = produce->err;
    }
    message->release(message->owner);
    mem_free(message);
}

static bool wait_below(struct dlq_sender *sender, size_t most, struct err *err)
{
    while (sender->in_flight > most) {
        if (!patience_turn(&sender->patience))
            return err_set_retriable(err, ERR_UNAVAILABLE,
                                     "Kafka does not acknowledge: %zu records may or may not be "
                                     "written",
                                     sender->in_flight);
    }
    return true;
}

bool dlq_send(struct dlq_sender *sender, const struct produce *msg, void *owner,
              void (*release)(void *owner), struct err *err)
{
    struct message *message;
    if (sender->in_flight == 0)
        patience_moved(&sender->patience);
    if (!wait_below(sender, IN_FLIGHT_MAX, err))
        return false;
    message = mem_zalloc(sizeof(*message));
    message->produce = *msg;
    message->produce.done = on_sent;
    message->produce.arg = message;
    message->sender = sender;
    message->owner = owner;
    message->release = release;
    sender->in_flight++;
    kafka_producer_send(sender->producer, &message->produce);
    return true;
}

bool dlq_sender_finish(struct dlq_sender *sender, uint64_t *sent, uint64_t *failed, struct err *err)
{
    bool ok = wait_below(sender, 0, err);
    *sent = sender->sent;
    *failed = sender->failed;
    if (ok && sender->failed > 0) {
        *err = sender->err;
        return false;
    }
    return ok;
}

struct entry_text {
    struct buf key, value;
    char *topic;
};

static void release_entry(void *owner)
{
    struct entry_text *text = owner;
    buf_deinit(&text->key);
    buf_deinit(&text->value);
    mem_free(text->topic);
    mem_free(text);
}

bool dlq_audit(struct dlq_sender *sender, const struct route_config *route, const char *by,
               const char *action, const char *on, const char *reason, const char *details,
               const char *result, struct err *err)
{
    struct entry_text *text = mem_zalloc(sizeof(*text));
    struct audit_entry entry = {.at_ms = clock_wall_ms(),
                                .by = mem_strdup(by),
                                .action = mem_strdup(action),
                                .on = mem_strdup(on),
                                .reason = mem_strdup(reason),
                                .details = mem_strdup(details),
                                .result = mem_strdup(result)};
    struct produce msg = {.partition = 0};
    buf_add_text(&text->key, on);
    text->topic = config_audit_topic(route);
    audit_entry_write(&text->value, &entry);
    audit_entry_deinit(&entry);
    msg.topic = text->topic;
    msg.key = buf_slice(&text->key);
    msg.value = buf_slice(&text->value);
    if (dlq_send(sender, &msg, text, release_entry, err))
        return true;
    release_entry(text);
    return false;
}
