/*
 * hiredis asks to be told when its socket can be written whenever there is something to write, and
 * no more when that has gone. The socket of a connection that is up can nearly always be written:
 * so what was gathered is written at the end of the turn, and the kernel is asked only where the
 * socket did not take all of it, or is not connected yet. hiredis' own adapter
 * (adapters/libevent.h) takes four epoll_ctl and a turn of the loop for each call.
 *
 *   add_write -> end of the turn: written -+-> all went: del_write
 *                                          `-> add_write: when the socket can be written
 *
 * Invariant: hiredis frees the context, and by `cleanup` this, inside whatever it is called for: it
 * is not touched after that. Must not: call hiredis from inside one of its callbacks.
 */
#include "ledger/attach.h"

#include <event2/event.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>

#include "base/loop.h"
#include "base/mem.h"

struct attached {
    redisAsyncContext *ac;
    struct loop *loop;
    struct event *readable, *writable;
    struct loop_task write; /* at the end of the turn */
    bool waits;             /* the next write is to wait for the socket */
};

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct attached *attached = arg;
    (void)fd;
    (void)what;
    redisAsyncHandleRead(attached->ac);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct attached *attached = arg;
    (void)fd;
    (void)what;
    redisAsyncHandleWrite(attached->ac);
}

static void write_now(void *arg)
{
    struct attached *attached = arg;
    attached->waits = true; /* should it not all go */
    redisAsyncHandleWrite(attached->ac);
}

static void add_read(void *data)
{
    struct attached *attached = data;
    event_add(attached->readable, NULL);
}

static void del_read(void *data)
{
    struct attached *attached = data;
    event_del(attached->readable);
}

static void add_write(void *data)
{
    struct attached *attached = data;
    if (attached->waits)
        event_add(attached->writable, NULL);
    else
        loop_defer_last(attached->loop, &attached->write);
}

static void del_write(void *data)
{
    struct attached *attached = data;
    event_del(attached->writable);
    attached->waits = false;
}

static void cleanup(void *data)
{
    struct attached *attached = data;
    loop_task_cancel(attached->loop, &attached->write);
    if (attached->readable)
        event_free(attached->readable);
    if (attached->writable)
        event_free(attached->writable);
    mem_free(attached);
}

bool attach_to_loop(struct redisAsyncContext *ac, struct loop *loop)
{
    struct attached *attached = mem_zalloc(sizeof(*attached));
    struct event_base *base = loop_base(loop);
    attached->ac = ac;
    attached->loop = loop;
    attached->waits = true; /* it is not connected yet */
    loop_task_init(&attached->write, write_now, attached);
    attached->readable = event_new(base, ac->c.fd, EV_READ | EV_PERSIST, on_readable, attached);
    attached->writable = event_new(base, ac->c.fd, EV_WRITE | EV_PERSIST, on_writable, attached);
    ac->ev.addRead = add_read;
    ac->ev.delRead = del_read;
    ac->ev.addWrite = add_write;
    ac->ev.delWrite = del_write;
    ac->ev.cleanup = cleanup;
    ac->ev.data = attached;
    return attached->readable && attached->writable;
}
