/*
 * What the index of dead letters costs: fills it with synthetic ones of about 1 KB, as the feed
 * would, and asks it what the page and the commands ask.
 *
 *   bench-dead-letters [LETTERS [FILE [ask]]]   default 1000000, ./dead-letters.index (deleted
 *                                               before; with `ask` as it stands)
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "dlq/index.h"

enum { PARTITIONS = 8, ROUTES = 3, KINDS = 100, KEYS = 200000, WORDS = 20000, ASKED = 200 };
enum { AT_ONCE = 20000 };

static const char *const routes[ROUTES] = {"orders", "payments", "shipping"};
static const char *const uuids[ROUTES] = {"AAAAAAAAAAAAAAAAAAAAAA", "BBBBBBBBBBBBBBBBBBBBBB",
                                          "CCCCCCCCCCCCCCCCCCCCCC"};
static const char states_topic[] = "dlq-state.shop";
static const int64_t began_ms = INT64_C(1767323045678), span_ms = INT64_C(7) * 24 * 3600 * 1000;
static int64_t letters = 1000000;
static uint64_t seed = 1;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static void stop(const struct err *err)
{
    fprintf(stderr, "bench-dead-letters: %s\n", err->text);
    exit(1);
}

/* Of this process, or thread: what says more on a machine that has other work. */
static double cpu(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double thread_cpu(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double seconds(uint64_t since_ns)
{
    return (double)(clock_mono_ns() - since_ns) / 1e9;
}

/* One letter, the same each time it is asked for. */
struct letter {
    char topic[32], key[32], value[1200], detail[160], numbers[6][32];
    char signature[HEADERS_SIGNATURE_MAX];
    struct record_header headers[14];
    struct record rec;
};

static void header(struct letter *l, const char *name, const char *value)
{
    l->rec.headers = l->headers;
    l->headers[l->rec.header_count++] = (struct record_header){slice_of(name), slice_of(value)};
}

static void make(struct letter *l, int64_t n)
{
    static const char *const codes[] = {"http-503", "http-400", "http-422", "timeout", "connect"};
    uint64_t r = mix((uint64_t)n + 1);
    size_t route = (size_t)(n % ROUTES);
    uint64_t kind = r % KINDS * (r >> 8 & 1); /* half are of one kind */
    memset(&l->rec, 0, sizeof(l->rec));
    snprintf(l->topic, sizeof(l->topic), "dlq.shop.%s", routes[route]);
    snprintf(l->key, sizeof(l->key), "customer-%" PRIu64, mix(r) % KEYS);
    snprintf(l->detail, sizeof(l->detail),
             "upstream %" PRIu64 "k refused item %" PRIu64 ": no stock in '%s'", kind, r % 100000,
             l->key);
    int at = snprintf(l->value, sizeof(l->value),
                      "{\"id\":%" PRId64 ",\"customer\":\"%s\",\"text\":\"", n, l->key);
    for (uint64_t w = r; at < 700; w = mix(w)) {
        uint64_t rank = w % WORDS * (w >> 20 & 1023) / 1024 * (w >> 32 & 1023) / 1024;
        at += snprintf(l->value + at, sizeof(l->value) - (size_t)at, "word%" PRIu64 " ", rank);
    }
    at += snprintf(l->value + at, sizeof(l->value) - (size_t)at, "\"}");
    snprintf(l->numbers[0], 32, "%" PRIu64, r % 9 + 1);
    snprintf(l->numbers[1], 32, "%" PRId64, n);
    snprintf(l->numbers[2], 32, "%" PRId64, n / ROUTES % PARTITIONS);
    snprintf(l->numbers[3], 32, "%" PRId64, began_ms + span_ms / letters * n);
    header(l, "oncegate-version", "1");
    header(l, "oncegate-group", "shop");
    header(l, "oncegate-route", routes[route]);
    header(l, "oncegate-origin-topic", routes[route]);
    header(l, "oncegate-origin-partition", l->numbers[2]);
    header(l, "oncegate-origin-offset", l->numbers[1]);
    header(l, "oncegate-attempt", l->numbers[0]);
    header(l, "oncegate-first-failed-at", l->numbers[3]);
    header(l, "oncegate-error-code", codes[kind % 5]);
    header(l, "oncegate-error-detail", l->detail);
    snprintf(l->signature, sizeof(l->signature), "%08zx%08" PRIx64, route + 1, kind);
    header(l, "oncegate-signature", l->signature);
    if (kind % 5 < 3)
        header(l, "oncegate-http-status", codes[kind % 5] + 5);
    header(l, "x-request-id", l->numbers[1]);
    l->rec.topic = slice_of(l->topic);
    l->rec.partition = (int32_t)(n / ROUTES % PARTITIONS);
    l->rec.offset = n / ROUTES / PARTITIONS;
    l->rec.timestamp_ms = began_ms + span_ms / letters * n;
    l->rec.key = slice_of(l->key);
    l->rec.value = (struct slice){l->value, (size_t)at};
}

static void begin_all(struct dlq_index *index)
{
    struct err err = {0};
    if (!dlq_index_begin(index, &err))
        stop(&err);
    for (int i = 0; i < ROUTES; i++) {
        char topic[32];
        snprintf(topic, sizeof(topic), "dlq.shop.%s", routes[i]);
        if (!dlq_index_topic(index, DLQ_LETTERS, topic, uuids[i], PARTITIONS, &err))
            stop(&err);
        for (int p = 0; p < PARTITIONS; p++) {
            if (!dlq_index_set_end(index, topic, p, (letters - 1) / ROUTES / PARTITIONS, &err))
                stop(&err);
        }
    }
    if (!dlq_index_topic(index, DLQ_STATES, states_topic, "", 1, &err) ||
        !dlq_index_set_end(index, states_topic, 0, 0, &err) || !dlq_index_commit(index, &err))
        stop(&err);
}

/* The order in which they come: by partition in runs, as a fetch gives them. */
static int64_t nth(int64_t i)
{
    enum { LANES = ROUTES * PARTITIONS, RUN = 500 };
    int64_t whole = letters / (LANES * RUN) * (LANES * RUN);
    if (i >= whole)
        return i;
    int64_t block = i / (LANES * RUN), within = i % (LANES * RUN);
    return (block * RUN + within % RUN) * LANES + within / RUN;
}

static void add(struct dlq_index *index, const struct letter *l, bool text)
{
    struct err err = {0};
    struct dead_letter letter;
    if (text) {
        if (!dlq_index_add_text(index, &l->rec, &err))
            stop(&err);
        return;
    }
    dead_letter_read(&l->rec, &letter);
    if (!dlq_index_add(index, &l->rec, &letter, &err))
        stop(&err);
}

static void fill(struct dlq_index *index, bool text, double *making)
{
    static struct letter l;
    struct err err = {0};
    uint64_t made_ns = 0;
    for (int64_t i = 0; i < letters;) {
        if (!dlq_index_begin(index, &err))
            stop(&err);
        for (int64_t end = i + AT_ONCE; i < end && i < letters; i++) {
            uint64_t before = clock_mono_ns();
            make(&l, nth(i));
            made_ns += clock_mono_ns() - before;
            add(index, &l, text);
        }
        if (!dlq_index_commit(index, &err))
            stop(&err);
    }
    *making = (double)made_ns / 1e9;
}

/* Every tenth is resolved, every hundredth is being redriven. */
static void add_states(struct dlq_index *index)
{
    struct err err = {0};
    int64_t offset = 0;
    if (!dlq_index_begin(index, &err))
        stop(&err);
    for (int64_t n = 0; n < letters; n += 10) {
        struct letter_id id = {slice_of(uuids[n % ROUTES]), (int32_t)(n / ROUTES % PARTITIONS),
                               n / ROUTES / PARTITIONS};
        struct letter_state state = {.status = n % 100 ? LETTER_RESOLVED : LETTER_REDRIVING,
                                     .redrive_id = slice_of("r-1"),
                                     .redrive_count = 1,
                                     .at_ms = began_ms + span_ms};
        struct record rec = {.topic = slice_of(states_topic), .offset = offset++};
        if (!dlq_index_add_state(index, &rec, &id, &state, &err))
            stop(&err);
        if (offset % AT_ONCE == 0 &&
            (!dlq_index_commit(index, &err) || !dlq_index_begin(index, &err)))
            stop(&err);
    }
    if (!dlq_index_commit(index, &err))
        stop(&err);
}

/* ---- questions ---- */

static bool on_row(void *arg, const struct dlq_row *row)
{
    size_t *rows = arg;
    *rows += row->topic != NULL;
    return true;
}

static char some_signature[HEADERS_SIGNATURE_MAX];

static bool on_group(void *arg, const struct dlq_group *group)
{
    size_t *groups = arg;
    if ((*groups)++ == 3)
        (void)str_copy(some_signature, sizeof(some_signature), slice_of(group->signature));
    return true;
}

static void set(struct dlq_filter *filter, const char *name, const char *value)
{
    struct err err = {0};
    if (!dlq_filter_set(filter, name, slice_of(value), began_ms + span_ms, &err))
        stop(&err);
}

static void set_part(struct dlq_filter *filter, char part)
{
    char text[40];
    switch (part) {
    case 'r':
        set(filter, "route", routes[rnd() % ROUTES]);
        break;
    case 'p':
        snprintf(text, sizeof(text), "dlq.shop.%s", routes[rnd() % ROUTES]);
        set(filter, "topic", text);
        break;
    case 'c':
        set(filter, "code", rnd() % 2 ? "timeout" : "http-422");
        break;
    case 's':
        set(filter, "status", rnd() % 2 ? "5xx" : "400");
        break;
    case 'g':
        set(filter, "signature", some_signature);
        break;
    case 'k':
        snprintf(text, sizeof(text), "customer-%" PRIu64, rnd() % KEYS);
        set(filter, "key", text);
        break;
    case 't':
        snprintf(text, sizeof(text), "%" PRId64, began_ms + (int64_t)(rnd() % (uint64_t)span_ms));
        set(filter, "since", text);
        snprintf(text, sizeof(text), "%" PRId64, filter->since_ms + 3600000);
        set(filter, "until", text);
        break;
    case 'w': /* a rare word */
        snprintf(text, sizeof(text), "word%" PRIu64, WORDS / 2 + rnd() % (WORDS / 4));
        set(filter, "text", text);
        break;
    case 'W': /* one in each letter, and one in some */
        snprintf(text, sizeof(text), "refused word%" PRIu64, rnd() % 50);
        set(filter, "text", text);
        break;
    case 'P':
        set(filter, "text", "word19*");
        break;
    case 'Q':
        set(filter, "text", "word1*");
        break;
    case 'R':
        set(filter, "state", "resolved");
        break;
    default:
        set(filter, "state", "any");
        break;
    }
}

static int by_time(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void ask(struct dlq_index *index, const char *name, const char *parts)
{
    double took[ASKED], cpu_used = 0;
    size_t rows = 0;
    for (int i = 0; i < ASKED; i++) {
        struct dlq_filter filter;
        struct dlq_covered covered;
        struct err err = {0};
        char next[DLQ_CURSOR_MAX], cursor[DLQ_CURSOR_MAX] = "";
        dlq_filter_init(&filter);
        for (const char *part = parts; *part; part++)
            set_part(&filter, *part);
        if (i % 2) /* a page from deep within */
            snprintf(cursor, sizeof(cursor), "b%016" PRIx64,
                     (uint64_t)(began_ms + (int64_t)(rnd() % (uint64_t)span_ms)) << 16);
        uint64_t before = clock_mono_ns();
        double used = thread_cpu();
        bool ok = dlq_index_list(index, &filter, cursor, 100, on_row, &rows, next, &covered, &err);
        took[i] = seconds(before) * 1e3;
        cpu_used += thread_cpu() - used;
        dlq_filter_deinit(&filter);
        if (!ok && err.code == ERR_USAGE) {
            printf("page  %-34s is refused: %s\n", name, err.text);
            return;
        }
        if (!ok)
            stop(&err);
    }
    qsort(took, ASKED, sizeof(*took), by_time);
    printf("page  %-34s p50 %7.2f  p95 %7.2f  max %7.2f  CPU %6.2f ms  (%.0f rows)\n", name,
           took[ASKED / 2], took[ASKED * 95 / 100], took[ASKED - 1], cpu_used / ASKED * 1e3,
           (double)rows / ASKED);
}

static void ask_groups(struct dlq_index *index, const char *name, const char *parts)
{
    double took[ASKED], cpu_used = 0;
    size_t groups = 0;
    uint64_t lines = 0;
    for (int i = 0; i < ASKED; i++) {
        struct dlq_filter filter;
        struct dlq_covered covered;
        struct err err = {0};
        dlq_filter_init(&filter);
        for (const char *part = parts; *part; part++)
            set_part(&filter, *part);
        uint64_t before = clock_mono_ns();
        double used = thread_cpu();
        groups = 0;
        if (!dlq_index_groups(index, &filter, began_ms + span_ms, on_group, &groups, &covered,
                              &err))
            stop(&err);
        took[i] = seconds(before) * 1e3;
        cpu_used += thread_cpu() - used;
        if (!dlq_index_count(index, &filter, 0, &lines, &covered, &err))
            stop(&err);
        dlq_filter_deinit(&filter);
    }
    qsort(took, ASKED, sizeof(*took), by_time);
    printf("groups %-33s p50 %7.2f  p95 %7.2f  max %7.2f  CPU %6.2f ms  (%zu groups, %" PRIu64
           " lines)\n",
           name, took[ASKED / 2], took[ASKED * 95 / 100], took[ASKED - 1], cpu_used / ASKED * 1e3,
           groups, lines);
}

/* ---- beside a writer ---- */

struct writing {
    struct dlq_index *index;
    atomic_bool over;
    pthread_t thread;
};

/* Ten letters and their words in one transaction. */
static bool write_ten(struct dlq_index *index, struct err *err)
{
    enum { TEN = 10 };
    static struct letter l;
    if (!dlq_index_begin(index, err))
        return false;
    for (int i = 0; i < TEN; i++) {
        make(&l, letters++);
        add(index, &l, false);
        add(index, &l, true);
    }
    return dlq_index_commit(index, err);
}

/* A thousand letters a second. */
static void *write_on(void *arg)
{
    static const struct timespec pause = {0, 10 * 1000000};
    struct writing *writing = arg;
    struct err err = {0};
    bool more;
    while (!atomic_load(&writing->over)) {
        if (!write_ten(writing->index, &err) || !dlq_index_tidy(writing->index, &more, &err))
            stop(&err);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

/* How long letters that arrive wait for what the index has to write, with what was read before. */
static void write_tens(struct dlq_index *index)
{
    enum { TIMES = 2000 };
    static double took[TIMES], tidied[TIMES];
    double used = cpu();
    bool more;
    struct err err = {0};
    for (int i = 0; i < TIMES; i++) {
        uint64_t before = clock_mono_ns();
        if (!write_ten(index, &err))
            stop(&err);
        took[i] = seconds(before) * 1e3;
        before = clock_mono_ns();
        if (!dlq_index_tidy(index, &more, &err))
            stop(&err);
        tidied[i] = seconds(before) * 1e3;
    }
    qsort(took, TIMES, sizeof(*took), by_time);
    qsort(tidied, TIMES, sizeof(*tidied), by_time);
    printf("ten letters more: p50 %.1f  p95 %.1f  max %.1f ms; tidying p95 %.1f  max %.1f ms; CPU "
           "%.2f\n",
           took[TIMES / 2], took[TIMES * 95 / 100], took[TIMES - 1], tidied[TIMES * 95 / 100],
           tidied[TIMES - 1], (cpu() - used) / TIMES * 1e3);
}

static void ask_beside_writer(struct dlq_index *reader, struct dlq_index *writer)
{
    struct writing writing = {.index = writer};
    if (pthread_create(&writing.thread, NULL, write_on, &writing) != 0)
        abort();
    ask_groups(reader, "all, while letters arrive", "");
    atomic_store(&writing.over, true);
    pthread_join(writing.thread, NULL);
}

static void resources(const char *when, const char *path)
{
    struct rusage usage;
    struct stat file;
    getrusage(RUSAGE_SELF, &usage);
    double size = stat(path, &file) == 0 ? (double)file.st_size / 1e6 : 0;
    printf("%-12s peak resident %.0f MB, file %.0f MB\n", when, (double)usage.ru_maxrss / 1e3,
           size);
}

static struct dlq_index *fill_all(const char *path)
{
    struct err err = {0};
    double making;
    unlink(path);
    struct dlq_index *writer = dlq_index_open(path, true, &err);
    if (!writer)
        stop(&err);
    begin_all(writer);
    uint64_t before = clock_mono_ns();
    fill(writer, false, &making);
    double took = seconds(before);
    printf("rows and groups of %" PRId64 " letters: %.1f s (CPU %.1f), %.1f making the records\n",
           letters, took, cpu(), making);
    double used = cpu();
    resources("with rows", path);
    before = clock_mono_ns();
    add_states(writer);
    printf("states of a tenth: %.1f s\n", seconds(before));
    before = clock_mono_ns();
    fill(writer, true, &making);
    printf("words: %.1f s (CPU %.1f with the states), %.1f making the records\n", seconds(before),
           cpu() - used, making);
    resources("with words", path);
    return writer;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    const char *path = argc > 2 ? argv[2] : "dead-letters.index";
    bool asked_only = argc > 3 && strcmp(argv[3], "ask") == 0;
    uint64_t before;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1)
        letters = strtoll(argv[1], NULL, 10);
    struct dlq_index *writer = asked_only ? NULL : fill_all(path);
    struct dlq_index *reader = dlq_index_open(path, false, &err);
    if (!reader)
        stop(&err);
    ask_groups(reader, "all", "");
    ask_groups(reader, "route", "r");
    ask_groups(reader, "status, any state", "sa");
    ask_groups(reader, "an hour", "t");
    ask_groups(reader, "key", "k");
    ask_groups(reader, "rare word", "w");
    if (!asked_only) {
        write_tens(writer);
        ask_beside_writer(reader, writer);
    }
    static const char *const pages[][2] = {
        {"all", ""},
        {"route", "r"},
        {"topic", "p"},
        {"code", "c"},
        {"status", "s"},
        {"signature", "g"},
        {"key", "k"},
        {"an hour", "t"},
        {"resolved", "R"},
        {"any state", "a"},
        {"rare word", "w"},
        {"two common words", "W"},
        {"route, status", "rs"},
        {"signature, an hour", "gt"},
        {"key, route", "kr"},
        {"route, rare word", "rw"},
        {"code, common words", "cW"},
        {"key, common words", "kW"},
        {"resolved, common words", "RW"},
        {"an hour, common words", "tW"},
        {"prefix of a hundred words", "P"},
        {"prefix of thousands", "Q"}, /* the slow one */
    };
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
        ask(reader, pages[i][0], pages[i][1]);
    resources("at the end", path);
    dlq_index_close(&reader);
    before = clock_mono_ns();
    dlq_index_close(&writer);
    printf("closed in %.1f s\n", seconds(before));
    before = clock_mono_ns();
    writer = dlq_index_open(path, true, &err);
    if (!writer)
        stop(&err);
    printf("opened again in %.2f s\n", seconds(before));
    dlq_index_close(&writer);
    return 0;
}
