/*
 * See peers.h. A gateway answers, or does not within the time; HTTP/1.0, so that the end of the
 * connection ends the answer. What it answers is checked to be a JSON object before it is passed
 * on, and bounded: whatever listens there need not be a gateway.
 */
#include "console/peers.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/resolver.h"
#include "base/str.h"
#include "record/json_field.h"

#define ANSWER_MAX ((size_t)4 << 20)
#define FRESH_MS   1000

struct peer {
    struct peers *peers;
    char *address; /* host:port, as people write it */
    char *host;
    uint16_t port; /* 0: not known */
    struct resolver *resolver;
    struct bufferevent *bev; /* NULL: not being asked */
    size_t next_address;
    bool asking;
    /* of the last answer */
    char why[200]; /* "": it answered */
    int64_t asked_ms;
    struct buf status;
};

struct waiting {
    struct waiting *next;
    void (*done)(void *arg);
    void *arg;
};

struct peers {
    struct loop *loop;
    struct peer *items;
    size_t count, pending;
    struct waiting *waiting;
    uint64_t told_ns; /* when all had answered; 0: never */
    struct loop_timer timer;
    struct loop_task task; /* tells who waits */
};

static void connect_next(struct peer *peer);

/* ---- telling ---- */

static void tell(void *arg)
{
    struct peers *peers = arg;
    struct waiting *list = peers->waiting;
    peers->waiting = NULL;
    while (list) {
        struct waiting *waiting = list;
        list = waiting->next;
        waiting->done(waiting->arg);
        mem_free(waiting);
    }
}

/* why NULL: status was filled. */
static void end(struct peer *peer, const char *why)
{
    struct peers *peers = peer->peers;
    if (!peer->asking)
        return;
    peer->asking = false;
    if (peer->bev)
        bufferevent_free(peer->bev);
    peer->bev = NULL;
    peer->asked_ms = clock_wall_ms();
    snprintf(peer->why, sizeof(peer->why), "%s", why ? why : "");
    if (why)
        buf_reset(&peer->status);
    if (--peers->pending > 0)
        return;
    loop_timer_cancel(&peers->timer);
    peers->told_ns = clock_mono_ns();
    loop_defer(peers->loop, &peers->task);
}

static void too_late(void *arg)
{
    struct peers *peers = arg;
    for (size_t i = 0; i < peers->count; i++)
        end(&peers->items[i], "it does not answer in time");
}

/* ---- one answer ---- */

static bool take_status(struct peer *peer, struct slice answer)
{
    struct json_field whole = {.pointer = ""};
    const char *head = answer.len ? memmem(answer.data, answer.len, "\r\n\r\n", 4) : NULL;
    struct slice body;
    if (!head || answer.len < 12 || memcmp(answer.data, "HTTP/1.", 7) != 0 ||
        memcmp(answer.data + 9, "200", 3) != 0)
        return false;
    body = (struct slice){head + 4, answer.len - (size_t)(head + 4 - answer.data)};
    if (!json_find(body, &whole, 1) || whole.kind != JSON_OBJECT)
        return false;
    buf_reset(&peer->status);
    buf_add_slice(&peer->status, whole.raw);
    return str_is_utf8(whole.raw);
}

static void on_end(struct peer *peer)
{
    struct evbuffer *in = bufferevent_get_input(peer->bev);
    size_t len = evbuffer_get_length(in);
    struct slice answer = {len ? (const char *)evbuffer_pullup(in, -1) : "", len};
    end(peer,
        take_status(peer, answer) ? NULL : "what listens there does not answer like a gateway");
}

static void on_read(struct bufferevent *bev, void *arg)
{
    if (evbuffer_get_length(bufferevent_get_input(bev)) > ANSWER_MAX)
        end(arg, "its status is larger than 4 MiB");
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    static const char request[] = "GET /status HTTP/1.0\r\nHost: oncegate\r\n\r\n";
    struct peer *peer = arg;
    if (what & BEV_EVENT_CONNECTED) {
        (void)bufferevent_write(bev, request, sizeof(request) - 1);
        (void)bufferevent_enable(bev, EV_READ);
    } else if (what & BEV_EVENT_EOF) {
        on_end(peer);
    } else {
        bufferevent_free(peer->bev);
        peer->bev = NULL;
        connect_next(peer);
    }
}

static void connect_next(struct peer *peer)
{
    const struct net_addresses *addresses = resolver_addresses(peer->resolver);
    while (peer->next_address < addresses->count) {
        const struct net_address *address = &addresses->items[peer->next_address++];
        struct bufferevent *bev;
        peer->bev = bufferevent_socket_new(loop_base(peer->peers->loop), -1, BEV_OPT_CLOSE_ON_FREE);
        bev = peer->bev;
        if (!bev)
            break;
        bufferevent_setcb(peer->bev, on_read, NULL, on_event, peer);
        if (bufferevent_socket_connect(peer->bev, (const struct sockaddr *)&address->name,
                                       (int)address->len) == 0)
            return;
        if (peer->bev != bev)
            return; /* it failed at once, and the callback went on */
        bufferevent_free(peer->bev);
        peer->bev = NULL;
    }
    resolver_forget(peer->resolver);
    end(peer, "nobody listens there");
}

/* ---- asking ---- */

static void resolved(void *arg)
{
    struct peer *peer = arg;
    if (!peer->asking || peer->bev)
        return;
    if (resolver_result(peer->resolver) == RESOLVER_READY)
        connect_next(peer);
    else
        end(peer, resolver_problem(peer->resolver));
}

static void begin(struct peer *peer)
{
    struct err err = {0};
    peer->asking = true;
    peer->next_address = 0;
    if (peer->port == 0) {
        end(peer, "admin.listen takes any free port: name the gateway in console.gateways");
        return;
    }
    if (!peer->resolver)
        peer->resolver = resolver_new(peer->peers->loop, peer->host, peer->port, NULL, resolved,
                                      peer, &err);
    if (!peer->resolver) {
        end(peer, err.text);
        return;
    }
    switch (resolver_look(peer->resolver, clock_mono_ns())) {
    case RESOLVER_READY:
        connect_next(peer);
        break;
    case RESOLVER_PENDING:
        break;
    case RESOLVER_FAILED:
        end(peer, resolver_problem(peer->resolver));
        break;
    }
}

void peers_ask(struct peers *peers, void (*done)(void *arg), void *arg)
{
    struct waiting *waiting = mem_zalloc(sizeof(*waiting));
    bool fresh = peers->told_ns > 0 && clock_mono_ns() - peers->told_ns < FRESH_MS * NS_PER_MS;
    *waiting = (struct waiting){peers->waiting, done, arg};
    peers->waiting = waiting;
    if (peers->pending > 0)
        return;
    if (fresh) {
        loop_defer(peers->loop, &peers->task);
        return;
    }
    loop_timer_set_ms(&peers->timer, PEERS_WAIT_MS);
    peers->pending = peers->count;
    for (size_t i = 0; i < peers->count; i++)
        begin(&peers->items[i]);
}

/* ---- making ---- */

/* text is host:port or [v6]:port, which the configuration has checked. */
static void add_peer(struct peers *peers, const char *text)
{
    struct peer *peer = &peers->items[peers->count++];
    const char *colon = strrchr(text, ':');
    const char *host = text;
    size_t len = colon ? (size_t)(colon - text) : strlen(text);
    uint64_t port = 0;
    if (len > 1 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    }
    if (colon && !str_to_u64(slice_of(colon + 1), &port))
        port = 0;
    peer->peers = peers;
    peer->address = mem_strdup(text);
    peer->host = mem_strndup(host, len);
    peer->port = (uint16_t)port;
    snprintf(peer->why, sizeof(peer->why), "it was not asked yet");
}

struct peers *peers_new(struct loop *loop, const struct config *config)
{
    const struct console_config *console = &config->console;
    struct peers *peers = mem_zalloc(sizeof(*peers));
    peers->loop = loop;
    peers->items = mem_calloc(console->gateway_count + 1, sizeof(*peers->items));
    loop_timer_init(&peers->timer, loop, too_late, peers);
    loop_task_init(&peers->task, tell, peers);
    for (size_t i = 0; i < console->gateway_count; i++)
        add_peer(peers, console->gateways[i]);
    if (console->gateway_count == 0) {
        bool six = strchr(config->admin.host, ':') != NULL;
        char *text = mem_printf("%s%s%s:%u", six ? "[" : "", config->admin.host, six ? "]" : "",
                                (unsigned)config->admin.port);
        add_peer(peers, text);
        mem_free(text);
    }
    return peers;
}

void peers_free(struct peers **peers_p)
{
    struct peers *peers = *peers_p;
    if (!peers)
        return;
    *peers_p = NULL;
    for (size_t i = 0; i < peers->count; i++) {
        struct peer *peer = &peers->items[i];
        if (peer->bev)
            bufferevent_free(peer->bev);
        resolver_free(&peer->resolver);
    }
    tell(peers);
    loop_timer_deinit(&peers->timer);
    loop_task_cancel(peers->loop, &peers->task);
    for (size_t i = 0; i < peers->count; i++) {
        mem_free(peers->items[i].address);
        mem_free(peers->items[i].host);
        buf_deinit(&peers->items[i].status);
    }
    mem_free(peers->items);
    mem_free(peers);
}

void peers_add(const struct peers *peers, struct buf *out)
{
    buf_add_text(out, "\"gateways\":[");
    for (size_t i = 0; i < peers->count; i++) {
        const struct peer *peer = &peers->items[i];
        char asked[STR_RFC3339_MAX];
        str_rfc3339_from_ms(peer->asked_ms, asked);
        buf_printf(out, "%s{\"address\":", i ? "," : "");
        buf_add_json(out, slice_of(peer->address));
        buf_printf(out, ",\"reached\":%s,\"why\":", peer->why[0] ? "false" : "true");
        if (peer->why[0])
            buf_add_json(out, slice_of(peer->why));
        else
            buf_add_text(out, "null");
        if (peer->asked_ms > 0)
            buf_printf(out, ",\"asked\":\"%s\",\"status\":", asked);
        else
            buf_add_text(out, ",\"asked\":null,\"status\":");
        if (peer->why[0])
            buf_add_text(out, "null}");
        else {
            buf_add_slice(out, buf_slice(&peer->status));
            buf_add_char(out, '}');
        }
    }
    buf_add_char(out, ']');
}
