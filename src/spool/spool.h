/*
 * The local spool: dead letters that their topic does not take wait here, on a disk, until it does.
 * One thread of its own does all that blocks; workers send it operations and hear of their end on
 * their own loop.
 *
 *   put:   durable on this machine, or refused (full, disk trouble): then the caller waits
 *   take:  the next record to be tried again; it stays until
 *   forget (its topic has it) or give back (not this time)
 */
#ifndef OG_SPOOL_SPOOL_H
#define OG_SPOOL_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "spool/segment.h"
#include "spool/spool_record.h"

struct spool;
struct spool_client;
struct spool_entry;

/* Opens the folder, which must be no other process's; ERR_IO where it is unusable, see store.h. io
 * NULL: the real one. */
struct spool *spool_open(const char *dir, uint64_t max_bytes, const struct spool_io *io,
                         struct metrics *metrics, struct err *err) MUST_CHECK;
/* After all its clients are freed. */
void spool_close(struct spool **spool);
/* Appends a JSON object for /status. Any thread. */
void spool_status(struct spool *spool, struct buf *out);

/* One loop's side. Owning thread: the loop's. */
struct spool_client *spool_client_new(struct spool *spool, struct loop *loop);
/* Waits for what is under way and completes it. Nothing is submitted afterwards. */
void spool_client_stop(struct spool_client *client);
/* After the stop, and when the loop will not turn any more. */
void spool_client_free(struct spool_client **client);

enum spool_verb { SPOOL_PUT, SPOOL_TAKE, SPOOL_FORGET, SPOOL_GIVE_BACK };
enum spool_result {
    SPOOL_OK,
    SPOOL_NONE,    /* take: nothing may be tried at present */
    SPOOL_FULL,    /* put: there is no room */
    SPOOL_TROUBLE, /* put: the disk; take: the record cannot be read, and stays */
};

struct spool_op {
    enum spool_verb verb;
    const struct spool_record *put; /* SPOOL_PUT: read within spool_submit only */
    struct spool_entry *entry;      /* filled by TAKE; of FORGET and GIVE_BACK */
    int64_t rest_ms;                /* GIVE_BACK: it is not taken again before; longer each time */
    bool whole_topic;               /* GIVE_BACK: nor is anything else of its topic */
    void (*done)(struct spool_op *op);
    void *arg;

    enum spool_result result;
    struct err err;            /* FULL, TROUBLE */
    struct spool_record taken; /* TAKE: borrows memory, until spool_op_reset */

    /* the spool's */
    struct buf body;
    char *memory;
    struct spool_client *client;
    struct spool_op *next;
};

/* done runs exactly once, later, on the client's loop (or in spool_client_stop). */
void spool_submit(struct spool_client *client, struct spool_op *op);
/* Frees what a completed operation holds; its fields are kept. */
void spool_op_reset(struct spool_op *op);

#endif
