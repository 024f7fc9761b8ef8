/*
 * The book; see demo_book.h.
 * Invariants: an order's number is its index; a customer's orders are numbered 1, 2, 3 in the order
 * of their making, which is the order of their sending, so that "in order" means: first successful
 * calls of a customer come with growing sequences. Facts may come late and in any order between
 * sources, but each source tells them in order.
 */
#include "demo_book.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

/* A call that was answered this long before the kill may lack its mark: the mark goes to Redis with
 * the next batch. Far more than it takes. */
#define MARK_SLACK_US UINT64_C(1000000)
/* A request that was on the wire at the kill reaches the handler a little later. */
#define WIRE_SLACK_US UINT64_C(500000)

struct order {
    uint32_t customer;
    uint32_t sequence;
    uint64_t first_begin_us; /* of the first successful call; 0: none */
    uint64_t first_end_us;   /* 0: not answered */
    uint64_t open_since_us;  /* the call that is open; 0: none */
    uint64_t last_begin_us;  /* of the last call, and its end */
    uint64_t last_end_us;
    uint16_t successes;
    uint16_t failures; /* since the last copy or success */
    uint8_t kind;
    bool acked;
    bool dead;
    bool last_was_first_visit_failure;
};

struct resend {
    int64_t offset;
    int32_t partition;
    bool stopped;
};

struct demo_book {
    struct order *orders;
    uint32_t count, cap;
    struct resend *resends; /* acknowledged ones */
    size_t resend_count, resend_cap;
    uint32_t last_sequence[DEMO_CUSTOMERS]; /* made */
    uint32_t last_first[DEMO_CUSTOMERS];    /* highest sequence with a successful call */
    int64_t end[DEMO_PARTITIONS];           /* behind the last acknowledged */
    int64_t settled[DEMO_PARTITIONS];
    uint64_t resends_sent, acked, calls, failed_calls, delivered, retried_inline, dead;
    uint64_t out_of_order, open_calls, open_at_kill;
    uint64_t parked[DEMO_TIERS];
    uint64_t killed_us; /* 0: not yet */
    FILE *log;
    struct buf line; /* the beginning of one that is not whole yet */
};

struct demo_book *demo_book_new(void)
{
    return mem_zalloc(sizeof(struct demo_book));
}

void demo_book_free(struct demo_book **pointer)
{
    struct demo_book *book = *pointer;
    if (!book)
        return;
    *pointer = NULL;
    if (book->log)
        fclose(book->log);
    buf_deinit(&book->line);
    mem_free(book->orders);
    mem_free(book->resends);
    mem_free(book);
}

uint32_t demo_book_add(struct demo_book *book, uint32_t customer, enum order_kind kind)
{
    struct order *order;
    if (book->count == book->cap) {
        book->cap = book->cap ? book->cap * 2 : 4096;
        book->orders = mem_realloc(book->orders, book->cap * sizeof(*book->orders));
    }
    order = &book->orders[book->count];
    *order = (struct order){
        .customer = customer, .sequence = ++book->last_sequence[customer], .kind = (uint8_t)kind};
    return book->count++;
}

uint32_t demo_book_customer(const struct demo_book *book, uint32_t order)
{
    return book->orders[order].customer;
}

enum order_kind demo_book_kind(const struct demo_book *book, uint32_t order)
{
    return (enum order_kind)book->orders[order].kind;
}

uint64_t demo_book_sequence(const struct demo_book *book, uint32_t order)
{
    return book->orders[order].sequence;
}

uint32_t demo_book_orders(const struct demo_book *book)
{
    return book->count;
}

void demo_book_acked(struct demo_book *book, uint32_t order, bool resend, int32_t partition,
                     int64_t offset)
{
    if (offset + 1 > book->end[partition])
        book->end[partition] = offset + 1;
    if (!resend) {
        book->acked += !book->orders[order].acked;
        book->orders[order].acked = true;
        return;
    }
    if (book->resend_count == book->resend_cap) {
        book->resend_cap = book->resend_cap ? book->resend_cap * 2 : 256;
        book->resends = mem_realloc(book->resends, book->resend_cap * sizeof(*book->resends));
    }
    book->resends[book->resend_count++] = (struct resend){
        .offset = offset, .partition = partition, .stopped = false};
}

void demo_book_settled(struct demo_book *book, int32_t partition, int64_t offset)
{
    if (partition < 0 || partition >= DEMO_PARTITIONS || offset <= book->settled[partition])
        return;
    book->settled[partition] = offset;
    for (size_t i = 0; i < book->resend_count; i++) {
        struct resend *resend = &book->resends[i];
        if (resend->partition == partition && resend->offset < offset)
            resend->stopped = true;
    }
}

void demo_book_dead(struct demo_book *book, uint32_t number)
{
    if (number >= book->count || book->orders[number].dead)
        return;
    book->orders[number].dead = true;
    book->dead++;
}

void demo_book_parked(struct demo_book *book, size_t tier)
{
    if (tier < DEMO_TIERS)
        book->parked[tier]++;
}

static void succeeded(struct demo_book *book, struct order *order, uint64_t us)
{
    order->successes++;
    if (order->successes > 1)
        return;
    order->first_begin_us = us;
    book->delivered++;
    if (order->sequence < book->last_first[order->customer])
        book->out_of_order++;
    else
        book->last_first[order->customer] = order->sequence;
}

static void begun(struct demo_book *book, struct order *order, uint64_t us, int status,
                  unsigned attempt)
{
    book->calls++;
    book->open_calls += order->open_since_us == 0;
    order->open_since_us = order->last_begin_us = us;
    /* Inline retries happen on the first visit only: attempts 2 and 3 follow within it. */
    if (order->last_was_first_visit_failure && attempt > 1 && attempt <= 3)
        book->retried_inline++;
    order->last_was_first_visit_failure = status >= 500 && attempt < 3;
    if (status < 300)
        succeeded(book, order, us);
    else
        book->failed_calls++;
}

static void ended(struct demo_book *book, struct order *order, uint64_t us)
{
    book->open_calls -= order->open_since_us != 0;
    order->open_since_us = 0;
    order->last_end_us = us;
    if (order->first_begin_us && !order->first_end_us)
        order->first_end_us = us;
}

static void take_line(struct demo_book *book, const char *line)
{
    unsigned long long us = 0;
    unsigned number = 0, attempt = 0;
    int status = 0;
    if (sscanf(line, "b %llu %u %d %u", &us, &number, &status, &attempt) == 4) {
        if (number < book->count)
            begun(book, &book->orders[number], us, status, attempt);
    } else if (sscanf(line, "e %llu %u", &us, &number) == 2 && number < book->count) {
        ended(book, &book->orders[number], us);
    }
}

bool demo_book_read_log(struct demo_book *book, const char *file)
{
    char chunk[256];
    if (!book->log)
        book->log = fopen(file, "re");
    if (!book->log)
        return false;
    clearerr(book->log);
    while (fgets(chunk, sizeof(chunk), book->log)) {
        buf_add_text(&book->line, chunk);
        if (book->line.data[book->line.len - 1] != '\n')
            break;
        take_line(book, book->line.data);
        buf_reset(&book->line);
    }
    return true;
}

void demo_book_killed(struct demo_book *book, uint64_t us)
{
    book->killed_us = us;
    for (uint32_t i = 0; i < book->count; i++) {
        struct order *order = &book->orders[i];
        bool open = order->open_since_us != 0;
        if (order->last_begin_us > 0 && order->last_begin_us <= us &&
            (open || order->last_end_us >= us))
            book->open_at_kill++;
        /* The connections are gone: no ends will be told. */
        order->open_since_us = 0;
        book->open_calls -= open;
    }
}

void demo_book_figures(const struct demo_book *book, struct demo_figures *out)
{
    memset(out, 0, sizeof(*out));
    out->orders = book->count;
    out->acked = book->acked;
    out->resends = out->resends_acked = book->resend_count;
    for (size_t i = 0; i < book->resend_count; i++)
        out->resends_stopped += book->resends[i].stopped;
    out->calls = book->calls;
    out->failed_calls = book->failed_calls;
    out->delivered = book->delivered;
    out->retried_inline = book->retried_inline;
    memcpy(out->parked, book->parked, sizeof(out->parked));
    out->dead = book->dead;
    out->open_calls = book->open_calls;
    for (int i = 0; i < DEMO_PARTITIONS; i++)
        out->lag += book->end[i] > book->settled[i] ? book->end[i] - book->settled[i] : 0;
}

uint64_t demo_book_calls(const struct demo_book *book)
{
    return book->calls;
}

bool demo_book_complete(const struct demo_book *book)
{
    for (uint32_t i = 0; i < book->count; i++) {
        const struct order *order = &book->orders[i];
        if (order->acked && order->successes == 0 && !order->dead)
            return false;
    }
    return true;
}

/* Its effect happened, and the mark in Redis cannot be sure to have: the window of a crash. */
static bool under_way_at_kill(const struct demo_book *book, const struct order *order)
{
    return book->killed_us > 0 && order->first_begin_us <= book->killed_us + WIRE_SLACK_US &&
           (order->first_end_us == 0 || order->first_end_us + MARK_SLACK_US > book->killed_us);
}

void demo_book_judge(const struct demo_book *book, struct demo_verdict *out)
{
    memset(out, 0, sizeof(*out));
    out->out_of_order = book->out_of_order;
    out->open_at_kill = book->open_at_kill;
    for (uint32_t i = 0; i < book->count; i++) {
        const struct order *order = &book->orders[i];
        bool poison = order->kind == ORDER_POISON;
        if (!order->acked)
            continue;
        out->lost += order->successes == 0 && !order->dead;
        if (order->successes > 1 && under_way_at_kill(book, order))
            out->twice_at_kill++;
        else if (order->successes > 1)
            out->twice++;
        out->dead_wrongly += order->dead && !poison;
        out->poison_passed += poison && !order->dead;
        out->poison += poison;
        out->poison_dead += poison && order->dead;
    }
}
