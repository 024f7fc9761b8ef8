/* See events.h. An id is "<start>-<n>": the time of the program's start tells ids of another start
 * apart. Must not: write to a client from the call of another one's end. */
#include "console/events.h"

#include <inttypes.h>
#include <stdint.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#define HEARTBEAT_MS 15000

struct client {
    TAILQ_ENTRY(client) entry;
    struct events *events;
    struct call *call;
};
TAILQ_HEAD(client_list, client);

struct events {
    struct loop *loop;
    struct client_list clients;
    size_t count, clients_max;
    int64_t start_ms;
    uint64_t next;                /* number of the next event; the first is 1 */
    struct buf kept[EVENTS_KEPT]; /* as sent; number n is at n % EVENTS_KEPT */
    struct loop_timer heartbeat;
};

/* The peer has gone, or is too slow. */
static void gone(void *arg)
{
    struct client *client = arg;
    TAILQ_REMOVE(&client->events->clients, client, entry);
    client->events->count--;
    mem_free(client);
}

/* A client that takes it no more gets its `gone` in a later turn: so the list does not change. */
static void send_all(struct events *events, struct slice text)
{
    struct client *client;
    TAILQ_FOREACH(client, &events->clients, entry)
    (void)call_write(client->call, text);
}

static void beat(void *arg)
{
    struct events *events = arg;
    send_all(events, SLICE_LIT(":\n\n"));
    loop_timer_set_ms(&events->heartbeat, HEARTBEAT_MS);
}

struct events *events_new(struct loop *loop, size_t clients_max)
{
    struct events *events = mem_zalloc(sizeof(*events));
    events->loop = loop;
    events->clients_max = clients_max;
    events->start_ms = clock_wall_ms();
    events->next = 1;
    TAILQ_INIT(&events->clients);
    loop_timer_init(&events->heartbeat, loop, beat, events);
    loop_timer_set_ms(&events->heartbeat, HEARTBEAT_MS);
    return events;
}

void events_free(struct events **events_p)
{
    struct events *events = *events_p;
    struct client *client;
    if (!events)
        return;
    while ((client = TAILQ_FIRST(&events->clients)) != NULL) {
        struct call *call = client->call;
        gone(client);
        call_end(call);
    }
    loop_timer_deinit(&events->heartbeat);
    for (size_t i = 0; i < EVENTS_KEPT; i++)
        buf_deinit(&events->kept[i]);
    mem_free(events);
    *events_p = NULL;
}

static void add_event(struct buf *out, const struct events *events, uint64_t number,
                      const char *name, struct slice json)
{
    buf_printf(out, "id: %" PRId64 "-%" PRIu64 "\nevent: %s\ndata: ", events->start_ms, number,
               name);
    buf_add_slice(out, json);
    buf_add_text(out, "\n\n");
}

void events_publish(struct events *events, const char *name, struct slice json)
{
    struct buf *kept = &events->kept[events->next % EVENTS_KEPT];
    buf_reset(kept);
    add_event(kept, events, events->next++, name, json);
    send_all(events, buf_slice(kept));
}

/* The number behind the last one that the client saw; false where it is not to be told. */
static bool resume_at(const struct events *events, struct slice last_id, uint64_t *from)
{
    const char *dash = memchr(last_id.data, '-', last_id.len);
    int64_t start;
    uint64_t seen;
    if (!dash || !str_to_i64((struct slice){last_id.data, (size_t)(dash - last_id.data)}, &start) ||
        !str_to_u64((struct slice){dash + 1, last_id.len - (size_t)(dash + 1 - last_id.data)},
                    &seen) ||
        start != events->start_ms || seen >= events->next)
        return false;
    *from = seen + 1;
    return events->next - *from <= EVENTS_KEPT;
}

bool events_join(struct events *events, struct call *call, struct slice last_id)
{
    struct client *client;
    struct buf first = {0};
    uint64_t from = events->next;
    if (events->count >= events->clients_max)
        return false;
    client = mem_zalloc(sizeof(*client));
    client->events = events;
    client->call = call;
    TAILQ_INSERT_TAIL(&events->clients, client, entry);
    events->count++;
    call_on_gone(call, gone, client);
    call_stream(call, "text/event-stream");
    buf_add_text(&first, "retry: 2000\n\n");
    if (last_id.len > 0 && !resume_at(events, last_id, &from)) {
        from = events->next;
        add_event(&first, events, events->next - 1, "reset", SLICE_LIT("{}"));
    }
    (void)call_write(call, buf_slice(&first));
    buf_deinit(&first);
    for (; from < events->next; from++)
        (void)call_write(call, buf_slice(&events->kept[from % EVENTS_KEPT]));
    return true;
}

size_t events_clients(const struct events *events)
{
    return events->count;
}
