/*
 * The spool's folder on a real disk, with failures from below injected at its seam: what counts as
 * kept survives being opened again, what does not count does not come back as something else.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "spool/store.h"

#define MIB (UINT64_C(1) << 20)

/* ---- what lies below ---- */

static struct {
    int syncs_until_failure; /* -1: none fails */
    bool sync_fails_once;    /* and those after it succeed */
    ino_t watched;           /* how often that was synced */
    int watched_syncs;
    int truncates_until_failure;
    long bytes_until_full; /* -1: never */
    size_t most;           /* of one write; 0: all of it */
} faults;

static ssize_t faulty_write(int fd, const void *data, size_t len, off_t at)
{
    if (faults.most && len > faults.most)
        len = faults.most;
    if (faults.bytes_until_full >= 0) {
        if (faults.bytes_until_full == 0) {
            errno = ENOSPC;
            return -1;
        }
        if (len > (size_t)faults.bytes_until_full)
            len = (size_t)faults.bytes_until_full;
        faults.bytes_until_full -= (long)len;
    }
    return pwrite(fd, data, len, at);
}

/* No power fails here: what a sync would cost is left out. */
static int faulty_sync(int fd)
{
    struct stat stat;
    assert_int_equal(fstat(fd, &stat), 0);
    faults.watched_syncs += stat.st_ino == faults.watched;
    if (faults.syncs_until_failure == 0) {
        if (faults.sync_fails_once)
            faults.syncs_until_failure = -1;
        errno = EIO;
        return -1;
    }
    if (faults.syncs_until_failure > 0)
        faults.syncs_until_failure--;
    return 0;
}

static int faulty_truncate(int fd, off_t len)
{
    if (faults.truncates_until_failure == 0) {
        errno = EIO;
        return -1;
    }
    if (faults.truncates_until_failure > 0)
        faults.truncates_until_failure--;
    return ftruncate(fd, len);
}

static const struct spool_io faulty = {faulty_write, faulty_sync, faulty_truncate};

static void heal(void)
{
    faults.syncs_until_failure = faults.truncates_until_failure = -1;
    faults.bytes_until_full = -1;
    faults.most = 0;
    faults.sync_fails_once = false;
}

/* ---- a folder ---- */

struct world {
    char dir[64];
    struct spool_store *store;
    uint64_t max;
};

static void each_file(const char *dir, void (*one)(const char *path, void *arg), void *arg)
{
    DIR *list = opendir(dir);
    struct dirent *file;
    assert_non_null(list);
    while ((file = readdir(list)) != NULL) {
        char *path = mem_printf("%s/%s", dir, file->d_name);
        if (strstr(file->d_name, ".spool"))
            one(path, arg);
        mem_free(path);
    }
    closedir(list);
}

static void delete_one(const char *path, void *arg)
{
    (void)arg;
    assert_int_equal(unlink(path), 0);
}

static void count_one(const char *path, void *arg)
{
    (void)path;
    (*(int *)arg)++;
}

static int files(const struct world *w)
{
    int count = 0;
    each_file(w->dir, count_one, &count);
    return count;
}

static int set_up(void **state)
{
    static struct world w;
    memset(&w, 0, sizeof(w));
    log_setup(LOG_ERROR + 1, LOG_FORMAT_LOGFMT);
    snprintf(w.dir, sizeof(w.dir), "/tmp/og-spool-XXXXXX");
    assert_non_null(mkdtemp(w.dir));
    w.max = 2 * MIB;
    heal();
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    char *lock = mem_printf("%s/lock", w->dir);
    store_close(&w->store);
    each_file(w->dir, delete_one, NULL);
    (void)unlink(lock);
    mem_free(lock);
    return rmdir(w->dir);
}

static bool try_open(struct world *w, struct err *err)
{
    store_close(&w->store);
    w->store = store_open(w->dir, w->max, &faulty, err);
    return w->store != NULL;
}

static void reopen(struct world *w)
{
    struct err err = {0};
    if (!try_open(w, &err))
        fail_msg("%s", err.text);
}

static struct spool_record record(const char *topic, const char *value)
{
    struct spool_record rec = {.partition = 1, .time_ms = 1000, .value = slice_of(value)};
    snprintf(rec.topic, sizeof(rec.topic), "%s", topic);
    return rec;
}

static struct spool_entry *put(struct world *w, const char *topic, const char *value,
                               struct err *err)
{
    struct spool_record rec = record(topic, value);
    struct buf body = {0};
    struct spool_entry *entry;
    spool_record_write(&rec, &body);
    entry = store_put(w->store, &rec, buf_slice(&body), err);
    buf_deinit(&body);
    return entry;
}

/* Put and durable. */
static bool keep(struct world *w, const char *topic, const char *value, struct err *err)
{
    struct spool_entry *entry = put(w, topic, value, err);
    struct err sync = {0};
    if (!entry)
        return false;
    if (!store_sync(w->store, &sync))
        *err = sync;
    return store_kept(w->store, entry, NULL);
}

static void must_keep(struct world *w, const char *topic, const char *value)
{
    struct err err = {0};
    if (!keep(w, topic, value, &err))
        fail_msg("%s", err.text);
}

static uint64_t records(const struct world *w)
{
    struct spool_store_stats stats;
    store_stats(w->store, &stats);
    return stats.records;
}

static uint64_t bytes(const struct world *w)
{
    struct spool_store_stats stats;
    store_stats(w->store, &stats);
    return stats.bytes;
}

static uint64_t torn(const struct world *w)
{
    struct spool_store_stats stats;
    store_stats(w->store, &stats);
    return stats.torn_bytes;
}

/* Takes the next one, which must have that value; NULL: there must be none. */
static struct spool_entry *take(struct world *w, uint64_t now_ms, const char *value)
{
    struct spool_entry *entry = store_take(w->store, now_ms);
    struct spool_record rec;
    struct err err = {0};
    char *memory;
    if (!value) {
        assert_null(entry);
        return NULL;
    }
    assert_non_null(entry);
    if (!store_read(w->store, entry, &rec, &memory, &err))
        fail_msg("%s", err.text);
    if (!slice_equal_text(rec.value, value))
        fail_msg("'%.*s' and not '%s'", (int)rec.value.len, rec.value.data, value);
    spool_record_deinit(&rec);
    mem_free(memory);
    return entry;
}

static void forget(struct world *w, const char *value)
{
    store_forget(w->store, take(w, 0, value));
    store_tidy(w->store);
}

/* Opened again it has these two, in this order, and no other. */
static void holds_one_and_two(struct world *w)
{
    reopen(w);
    assert_int_equal(records(w), 2);
    take(w, 0, "1");
    take(w, 0, "2");
}

/* The newest of the files. */
static void newest(const char *path, void *arg)
{
    char *best = arg;
    if (strcmp(path, best) > 0)
        snprintf(best, 128, "%s", path);
}

static void oldest(const char *path, void *arg)
{
    char *best = arg;
    if (!best[0] || strcmp(path, best) < 0)
        snprintf(best, 128, "%s", path);
}

static void change(const struct world *w, void (*which)(const char *, void *), long at, bool cut)
{
    char path[128] = "";
    unsigned char byte;
    each_file(w->dir, which, path);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    if (at < 0)
        at += lseek(fd, 0, SEEK_END);
    if (cut) {
        assert_int_equal(ftruncate(fd, at), 0);
    } else {
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 4;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    close(fd);
}

/* ---- tests ---- */

static void test_store_keeps_over_a_restart_and_forgets_what_is_done(void **state)
{
    struct world *w = *state;
    reopen(w);
    must_keep(w, "a", "1");
    must_keep(w, "a", "2");
    must_keep(w, "b", "3");
    assert_int_equal(records(w), 3);
    reopen(w);
    assert_int_equal(records(w), 3);
    forget(w, "1");
    reopen(w);
    assert_int_equal(records(w), 2);
    forget(w, "2");
    forget(w, "3");
    assert_int_equal(records(w), 0);
    assert_int_equal(files(w), 0);
    assert_int_equal(bytes(w), 0);
    reopen(w);
    take(w, 0, NULL);
}

static void test_store_is_one_process_s(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    reopen(w);
    assert_null(store_open(w->dir, w->max, NULL, &err));
    assert_int_equal(err.code, ERR_IO);
    assert_non_null(strstr(err.text, "in use by process"));
    assert_non_null(strstr(err.text, w->dir));
    reopen(w);
}

static void test_store_tail_of_an_interrupted_write_is_cut_and_counted(void **state)
{
    struct world *w = *state;
    reopen(w);
    must_keep(w, "a", "1");
    assert_non_null(put(w, "a", "2", NULL));
    change(w, newest, -3, true);
    reopen(w);
    assert_int_equal(records(w), 1);
    assert_int_equal(torn(w), SPOOL_FRAME_BYTES + 31 - 3);
    must_keep(w, "a", "3");
    reopen(w);
    assert_int_equal(torn(w), 0);
    take(w, 0, "1");
    take(w, 0, "3");
}

static void test_store_damage_in_the_middle_names_file_and_offset(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    reopen(w);
    must_keep(w, "a", "1");
    must_keep(w, "a", "2");
    must_keep(w, "a", "3");
    change(w, oldest, SPOOL_HEAD_BYTES + SPOOL_FRAME_BYTES + 2, false);
    assert_false(try_open(w, &err));
    assert_int_equal(err.code, ERR_IO);
    assert_non_null(strstr(err.text, "0000000001.spool is damaged at offset 56"));
    change(w, oldest, SPOOL_HEAD_BYTES + SPOOL_FRAME_BYTES + 2, false);
    reopen(w);
    assert_int_equal(records(w), 3);
}

/* Damage to what was written last: it was durable, and a note behind it says so. */
static void test_store_damage_at_the_end_is_no_interrupted_write(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    reopen(w);
    must_keep(w, "a", "1");
    store_close(&w->store);
    change(w, oldest, SPOOL_HEAD_BYTES + SPOOL_FRAME_BYTES + 2, false);
    assert_false(try_open(w, &err));
    assert_non_null(strstr(err.text, "is damaged at offset 56"));
    change(w, oldest, SPOOL_HEAD_BYTES + SPOOL_FRAME_BYTES + 2, false);
    reopen(w);
    assert_int_equal(records(w), 1);
}

/* The end of a file that is not the last was durable: damage there is never an interrupted write.
 */
static void test_store_damaged_end_of_an_older_file_is_refused(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    char value[3000];
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    reopen(w);
    while (files(w) < 2)
        must_keep(w, "a", value);
    change(w, oldest, -1, false);
    assert_false(try_open(w, &err));
    assert_non_null(strstr(err.text, "0000000001.spool is damaged"));
    change(w, oldest, -1, false);
    reopen(w);
}

/* Guards against an older file that lost whole frames: what is left of it is faultless by itself.
 */
static void test_store_older_file_that_became_shorter_is_refused(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    char value[4001];
    memset(value, 'x', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    reopen(w);
    while (files(w) < 2)
        must_keep(w, "a", value);
    store_close(&w->store);
    change(w, oldest, SPOOL_HEAD_BYTES, true);
    assert_false(try_open(w, &err));
    assert_non_null(strstr(err.text, "0000000001.spool is damaged at offset 56"));
}

/* Guards against a folder that is not there after a power failure, with all that was kept in it. */
static void test_store_new_folder_is_durable_itself(void **state)
{
    struct world *w = *state;
    struct world inner = {.max = w->max};
    struct stat stat_of;
    char *lock;
    assert_true(snprintf(inner.dir, sizeof(inner.dir), "%s/new", w->dir) < (int)sizeof(inner.dir));
    assert_int_equal(stat(w->dir, &stat_of), 0);
    faults.watched = stat_of.st_ino;
    faults.watched_syncs = 0;
    reopen(&inner);
    assert_int_equal(faults.watched_syncs, 1);
    reopen(&inner); /* also where the process ended in between */
    assert_int_equal(faults.watched_syncs, 2);
    faults.watched = 0;
    store_close(&inner.store);
    lock = mem_printf("%s/lock", inner.dir);
    assert_int_equal(unlink(lock), 0);
    mem_free(lock);
    assert_int_equal(rmdir(inner.dir), 0);
}

static void test_store_short_writes_are_gone_on_with(void **state)
{
    struct world *w = *state;
    faults.most = 3;
    reopen(w);
    must_keep(w, "a", "in pieces");
    reopen(w);
    take(w, 0, "in pieces");
}

static void test_store_full_disk_leaves_nothing_half_written(void **state)
{
    struct world *w = *state;
    reopen(w);
    must_keep(w, "a", "1");
    for (long room = 0; room < 60 + SPOOL_HEAD_BYTES; room += 7) {
        struct err err = {0};
        faults.bytes_until_full = room;
        assert_false(keep(w, "a", "not this one", &err));
        assert_int_equal(err.code, ERR_IO);
        assert_non_null(strstr(err.text, "No space left"));
        reopen(w);
        assert_int_equal(torn(w), 0);
    }
    heal();
    must_keep(w, "a", "2");
    holds_one_and_two(w);
    assert_int_equal(torn(w), 0);
}

/* A disk that is full when a segment is to be made. */
static void test_store_full_disk_at_a_new_segment_heals(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    reopen(w);
    faults.bytes_until_full = 10;
    assert_false(keep(w, "a", "1", &err));
    assert_int_equal(files(w), 0);
    heal();
    must_keep(w, "a", "1");
}

/* After a failed sync the page cache says that all is well, and it is not. */
static void test_store_failed_sync_fails_the_record_and_ends_the_segment(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    reopen(w);
    must_keep(w, "a", "1");
    faults.syncs_until_failure = 0;
    assert_false(keep(w, "a", "lost", &err));
    assert_non_null(strstr(err.text, "sync"));
    heal();
    must_keep(w, "a", "2");
    assert_int_equal(files(w), 2);
    holds_one_and_two(w);
}

/* The same, and the bytes cannot even be cut off: the next segment says how far to believe. */
static void test_store_failed_sync_and_cut_is_believed_no_further(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    reopen(w);
    must_keep(w, "a", "1");
    faults.syncs_until_failure = faults.truncates_until_failure = 0;
    assert_false(keep(w, "a", "lost", &err));
    heal();
    must_keep(w, "a", "2");
    holds_one_and_two(w);
    assert_true(torn(w) > 0);
}

/* One sync for several records: all of them or none. */
static void test_store_sync_counts_for_all_that_was_put(void **state)
{
    struct world *w = *state;
    struct spool_entry *entries[5];
    struct err err = {0};
    reopen(w);
    for (int i = 0; i < 5; i++)
        entries[i] = put(w, "a", "v", &err);
    assert_int_equal(records(w), 0);
    faults.syncs_until_failure = 0;
    assert_false(store_sync(w->store, &err));
    for (int i = 0; i < 5; i++)
        assert_false(store_kept(w->store, entries[i], &err));
    heal();
    assert_int_equal(records(w), 0);
    reopen(w);
    assert_int_equal(records(w), 0);
}

static uint64_t fill(struct world *w, const char *topic)
{
    char value[1001];
    struct err err = {0};
    uint64_t count = 0;
    memset(value, 'x', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    while (keep(w, topic, value, &err))
        count++;
    assert_int_equal(err.code, ERR_LIMIT);
    assert_non_null(strstr(err.text, "is full"));
    return count;
}

static void test_store_is_bounded_and_takes_again_when_emptied(void **state)
{
    struct world *w = *state;
    struct spool_entry *entry;
    uint64_t count;
    reopen(w);
    count = fill(w, "a");
    assert_true(count > 1000);
    assert_true(bytes(w) <= w->max);
    while ((entry = store_take(w->store, 0)) != NULL) {
        store_forget(w->store, entry);
        store_tidy(w->store);
        assert_true(bytes(w) <= w->max);
    }
    assert_int_equal(files(w), 0);
    assert_int_equal(fill(w, "a"), count);
}

/* Guards against one record that its topic never takes holding the room of all that came with it.
 */
static void test_store_stuck_record_does_not_hold_the_room_of_others(void **state)
{
    struct world *w = *state;
    struct spool_entry *stuck, *entry;
    uint64_t count;
    reopen(w);
    must_keep(w, "stuck", "for ever");
    stuck = take(w, 0, "for ever");
    for (int round = 0; round < 5; round++) {
        count = fill(w, "a");
        assert_true(count > 1000);
        while ((entry = store_take(w->store, 0)) != NULL) {
            store_forget(w->store, entry);
            store_tidy(w->store);
        }
    }
    assert_int_equal(records(w), 1);
    store_give_back(w->store, stuck, 0, 0, false);
    take(w, 0, "for ever");
    reopen(w);
    take(w, 0, "for ever");
}

/* Copying what is kept, and a crash at any point of it: each record once, and no dead one. */
static void test_store_copies_are_the_same_record(void **state)
{
    struct world *w = *state;
    char value[2001];
    struct spool_entry *entry;
    uint64_t kept = 0;
    memset(value, 'y', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    reopen(w);
    for (int i = 0; i < 300; i++)
        must_keep(w, i % 10 ? "a" : "b", value);
    /* Topic b is kept, a goes; every few, the disk refuses a while. */
    for (int i = 0; (entry = store_take(w->store, 0)) != NULL; i++) {
        struct spool_record rec;
        struct err err = {0};
        char *memory;
        assert_true(store_read(w->store, entry, &rec, &memory, &err));
        if (strcmp(rec.topic, "b") == 0)
            kept++; /* stays taken */
        else
            store_forget(w->store, entry);
        spool_record_deinit(&rec);
        mem_free(memory);
        if (i % 7 == 0)
            faults.bytes_until_full = i % 100;
        store_tidy(w->store);
        heal();
    }
    while (store_take(w->store, 0))
        kept++;
    assert_true(kept >= 16);
    store_tidy(w->store);
    reopen(w);
    assert_int_equal(records(w), 30);
}

/* Takes all that it may; forgets what is of topic a, and b's too where they are not to stay. How
 * many of b there were. */
static int take_all(struct world *w, bool stay)
{
    struct spool_entry *entry;
    int found = 0;
    while ((entry = store_take(w->store, 0)) != NULL) {
        struct spool_record rec;
        struct err err = {0};
        char *memory;
        bool b;
        if (!store_read(w->store, entry, &rec, &memory, &err))
            fail_msg("%s", err.text);
        b = strcmp(rec.topic, "b") == 0;
        found += b;
        if (!b || !stay)
            store_forget(w->store, entry);
        spool_record_deinit(&rec);
        mem_free(memory);
    }
    return found;
}

/* Some of the oldest file are kept, and nearly nothing behind it: they are worth copying, and the
 * copies reach over the end of a file. How many are kept. */
static int make_copying_worth_it(struct world *w, const char *value)
{
    int before = 0, kept = 0;
    reopen(w);
    for (; files(w) < 2; before++) {
        must_keep(w, before % 2 ? "a" : "b", value);
        kept += before % 2 == 0;
    }
    for (int i = 0; i < 6 * before + before / 2; i++)
        must_keep(w, "a", value);
    (void)take_all(w, true);
    return kept;
}

/* Guards against deleting a file though its copies are durable in part only: the copying went over
 * the end of a file whose sync failed, and on in the next one, whose sync did not. */
static void test_store_copies_that_were_not_synced_are_not_believed(void **state)
{
    struct world *w = *state;
    char value[2001];
    memset(value, 'y', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    for (int failing = 0; failing < 8; failing++) {
        int kept = make_copying_worth_it(w, value);
        assert_true(kept > 8);
        faults.syncs_until_failure = failing;
        faults.sync_fails_once = true;
        store_tidy(w->store);
        heal();
        reopen(w);
        assert_int_equal(take_all(w, false), kept);
        store_close(&w->store);
        each_file(w->dir, delete_one, NULL);
    }
}

/* Guards against a record that is unreadable, or too large, and rests for long: what was put behind
 * it goes. */
static void test_store_record_put_behind_a_resting_one_goes(void **state)
{
    struct world *w = *state;
    struct spool_entry *later;
    reopen(w);
    must_keep(w, "a", "large");
    must_keep(w, "a", "larger");
    store_give_back(w->store, take(w, 0, "large"), 0, 1000, false);
    store_give_back(w->store, take(w, 0, "larger"), 0, 10, false);
    must_keep(w, "a", "new");
    later = take(w, 9, "new");
    take(w, 10, NULL); /* the one that was refused goes alone */
    store_forget(w->store, later);
    store_forget(w->store, take(w, 10, "larger")); /* it rests less than the one before it */
    take(w, 999, NULL);
    take(w, 1000, "large");
}

static void test_store_resting_record_lets_others_pass(void **state)
{
    struct world *w = *state;
    reopen(w);
    must_keep(w, "a", "1");
    must_keep(w, "a", "2");
    store_give_back(w->store, take(w, 100, "1"), 100, 50, false);
    struct spool_entry *second = take(w, 100, "2");
    take(w, 149, NULL);
    store_give_back(w->store, second, 150, 50, false);
    store_give_back(w->store, take(w, 150, "1"), 150, 50, false);
    store_forget(w->store, take(w, 200, "2"));
    take(w, 249, NULL); /* it rests twice as long the second time */
    take(w, 250, "1");
}

/* Kafka refuses a whole batch for the one that is too large in it: what was refused is tried alone.
 */
static void test_store_refused_record_is_tried_alone(void **state)
{
    struct world *w = *state;
    reopen(w);
    must_keep(w, "a", "small");
    must_keep(w, "a", "large");
    struct spool_entry *small = take(w, 0, "small"), *large = take(w, 0, "large");
    store_give_back(w->store, small, 0, 10, false);
    store_give_back(w->store, large, 0, 10, false);
    small = take(w, 10, "small");
    take(w, 10, NULL);
    must_keep(w, "a", "new");
    take(w, 10, NULL);
    store_forget(w->store, small);
    take(w, 10, "large");
    take(w, 10, NULL);
}

/* Guards against one record that the topic has no partition for (it was made again with fewer)
 * being the only one that is ever tried. */
static void test_store_topic_that_refuses_is_tried_with_another_record(void **state)
{
    struct world *w = *state;
    reopen(w);
    must_keep(w, "a", "of a partition that is gone");
    must_keep(w, "a", "good");
    store_give_back(w->store, take(w, 0, "of a partition that is gone"), 0, 10, true);
    store_forget(w->store, take(w, 10, "good"));
    must_keep(w, "a", "later");
    store_give_back(w->store, take(w, 10, "of a partition that is gone"), 10, 5, false);
    store_give_back(w->store, take(w, 10, "later"), 10, 5, true);
    store_give_back(w->store, take(w, 15, "of a partition that is gone"), 15, 5, true);
    store_forget(w->store, take(w, 20, "later"));
}

static void test_store_resting_topic_is_probed_by_one_and_then_by_all(void **state)
{
    struct world *w = *state;
    reopen(w);
    for (int i = 0; i < 3; i++)
        must_keep(w, "a", "v");
    must_keep(w, "b", "other");
    struct spool_entry *first = take(w, 0, "v");
    store_give_back(w->store, first, 0, 1000, true);
    take(w, 10, "other");
    take(w, 999, NULL);
    first = take(w, 1000, "v");
    take(w, 1000, NULL);
    store_forget(w->store, first);
    take(w, 1000, "v");
    take(w, 1000, "v");
}

/* The first of two is forgotten while the disk fails; what it is about does not come back. */
static void faults_at_a_mark(struct world *w, long bytes_until_full, int syncs_until_failure)
{
    reopen(w);
    must_keep(w, "a", "1");
    must_keep(w, "a", "2");
    faults.bytes_until_full = bytes_until_full;
    faults.syncs_until_failure = syncs_until_failure;
    forget(w, "1");
    heal();
    store_tidy(w->store);
    reopen(w);
    assert_int_equal(records(w), 1);
    take(w, 0, "2");
}

static void test_store_mark_that_failed_is_written_later(void **state)
{
    struct world *w = *state;
    faults_at_a_mark(w, 0, -1);
}

static void test_store_mark_whose_sync_failed_is_written_again(void **state)
{
    struct world *w = *state;
    faults_at_a_mark(w, -1, 0);
}

static void test_store_record_beyond_the_bound_is_refused(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    char *value = mem_alloc(3 * MIB + 1);
    memset(value, 'z', 3 * MIB);
    value[3 * MIB] = '\0';
    reopen(w);
    assert_false(keep(w, "a", value, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    value[MIB / 2] = '\0';
    must_keep(w, "a", value);
    reopen(w);
    assert_int_equal(records(w), 1);
    mem_free(value);
}

static void test_store_torn_head_of_the_last_file_held_nothing(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    reopen(w);
    must_keep(w, "a", "1");
    store_close(&w->store);
    char *path = mem_printf("%s/0000000002.spool", w->dir);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(write(fd, "OGSPOOL1", 8), 8);
    close(fd);
    mem_free(path);
    reopen(w);
    assert_int_equal(files(w), 1);
    assert_int_equal(torn(w), 8);
    change(w, oldest, 3, false);
    assert_false(try_open(w, &err));
    assert_non_null(strstr(err.text, "does not begin as a segment does"));
    change(w, oldest, 3, false);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_store_keeps_over_a_restart_and_forgets_what_is_done),
        IN_FOLDER(test_store_is_one_process_s),
        IN_FOLDER(test_store_new_folder_is_durable_itself),
        IN_FOLDER(test_store_tail_of_an_interrupted_write_is_cut_and_counted),
        IN_FOLDER(test_store_damage_in_the_middle_names_file_and_offset),
        IN_FOLDER(test_store_damage_at_the_end_is_no_interrupted_write),
        IN_FOLDER(test_store_damaged_end_of_an_older_file_is_refused),
        IN_FOLDER(test_store_older_file_that_became_shorter_is_refused),
        IN_FOLDER(test_store_short_writes_are_gone_on_with),
        IN_FOLDER(test_store_full_disk_leaves_nothing_half_written),
        IN_FOLDER(test_store_full_disk_at_a_new_segment_heals),
        IN_FOLDER(test_store_failed_sync_fails_the_record_and_ends_the_segment),
        IN_FOLDER(test_store_failed_sync_and_cut_is_believed_no_further),
        IN_FOLDER(test_store_sync_counts_for_all_that_was_put),
        IN_FOLDER(test_store_is_bounded_and_takes_again_when_emptied),
        IN_FOLDER(test_store_stuck_record_does_not_hold_the_room_of_others),
        IN_FOLDER(test_store_copies_are_the_same_record),
        IN_FOLDER(test_store_copies_that_were_not_synced_are_not_believed),
        IN_FOLDER(test_store_resting_record_lets_others_pass),
        IN_FOLDER(test_store_record_put_behind_a_resting_one_goes),
        IN_FOLDER(test_store_refused_record_is_tried_alone),
        IN_FOLDER(test_store_topic_that_refuses_is_tried_with_another_record),
        IN_FOLDER(test_store_resting_topic_is_probed_by_one_and_then_by_all),
        IN_FOLDER(test_store_mark_that_failed_is_written_later),
        IN_FOLDER(test_store_mark_whose_sync_failed_is_written_again),
        IN_FOLDER(test_store_record_beyond_the_bound_is_refused),
        IN_FOLDER(test_store_torn_head_of_the_last_file_held_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
