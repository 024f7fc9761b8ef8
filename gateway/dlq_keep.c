/*
 * oncegate dlq archive-to DIR: keeps each dead letter in files, before Kafka's retention takes it.
 *
 *   DIR/manifest.json                                  what is kept; what it does not name is not
 *   DIR/<topic>@<uuid>/<partition>/<offset>.jsonl      lines of letter_line.h, named by the first
 *
 * A file is written beside its place, synced, and renamed into it; then the manifest is replaced in
 * the same way. So whatever is killed when, a file that the manifest names is whole, has the size
 * and the SHA-256 that stand there, and the next run goes on behind the last one. A file is never
 * changed once the manifest names it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json-c/json.h>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "cmd_dlq.h"
#include "dlq/dead_topics.h"
#include "dlq/letter_line.h"
#include "progress.h"
#include "record/letter_state.h"

#define FILE_BYTES    (16u << 20) /* a file is closed when it has more */
#define FILE_RECORDS  50000
#define MANIFEST_MOST (256u << 20)
#define WRITE_MOST    65536

struct keep {
    struct dlq *dlq;
    const char *dir;
    int lock;
    struct json_object *manifest;
    /* The partition that is read. */
    struct json_object *place; /* in the manifest */
    char *folder;              /* below dir */
    struct buf lines;
    uint64_t records;
    int64_t first, last;
    uint64_t kept, files; /* of this run */
    struct err err;
    struct progress progress;
};

static bool io_error(struct err *err, const char *what, const char *path)
{
    return err_set(err, errno == EACCES ? ERR_DENIED : ERR_IO, "%s %s: %s", what, path,
                   strerror(errno));
}

static bool sync_folder(const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (!ok)
        (void)io_error(err, "cannot sync", path);
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool write_bytes(int fd, struct slice bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.data, bytes.len < WRITE_MOST ? bytes.len : WRITE_MOST);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        CRASH_POINT("dlq_keep_written");
        bytes.data += n;
        bytes.len -= (size_t)n;
    }
    return true;
}

/* The whole of it stands at path, or nothing new does. */
static bool put_file(const char *folder, const char *path, struct slice bytes, struct err *err)
{
    char *part = mem_printf("%s.part", path);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write_bytes(fd, bytes) && fsync(fd) == 0;
    if (!ok)
        (void)io_error(err, "cannot write", part);
    if (fd >= 0 && close(fd) != 0 && ok)
        ok = io_error(err, "cannot write", part);
    CRASH_POINT("dlq_keep_synced");
    if (ok && rename(part, path) != 0)
        ok = io_error(err, "cannot rename to", path);
    mem_free(part);
    return ok && sync_folder(folder, err);
}

static bool make_folder(const char *path, struct err *err)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return true;
    return io_error(err, "cannot make", path);
}

/* ---- the manifest ---- */

static bool put_manifest(struct keep *keep, struct err *err)
{
    char *path = mem_printf("%s/manifest.json", keep->dir);
    struct buf text = {0};
    bool ok;
    json_object_object_del(keep->manifest, "written");
    json_add_time(keep->manifest, "written", clock_wall_ms());
    json_write(keep->manifest, true, &text);
    buf_add_char(&text, '\n');
    ok = put_file(keep->dir, path, buf_slice(&text), err);
    buf_deinit(&text);
    mem_free(path);
    return ok;
}

static bool read_text(const char *path, struct buf *out, bool *there, struct err *err)
{
    FILE *file = fopen(path, "re");
    char chunk[65536];
    size_t got;
    bool ok;
    *there = file != NULL;
    if (!file)
        return errno == ENOENT ? true : io_error(err, "cannot read", path);
    while ((got = fread(chunk, 1, sizeof(chunk), file)) > 0 && out->len < MANIFEST_MOST)
        buf_add(out, chunk, got);
    ok = !ferror(file);
    if (!ok)
        (void)io_error(err, "cannot read", path);
    fclose(file);
    return ok;
}

static bool read_manifest(struct keep *keep, struct err *err)
{
    char *path = mem_printf("%s/manifest.json", keep->dir);
    struct buf text = {0};
    struct json_object *version = NULL;
    bool there = false;
    bool ok = read_text(path, &text, &there, err);
    if (ok && there) {
        keep->manifest = json_tokener_parse(text.data ? text.data : "");
        if (!json_object_is_type(keep->manifest, json_type_object) ||
            !json_object_object_get_ex(keep->manifest, "v", &version) ||
            json_object_get_int(version) != 1)
            ok = err_set(err, ERR_INPUT, "%s is no manifest of this program; nothing was changed",
                         path);
    } else if (ok) {
        keep->manifest = json_object_new_object();
        json_add_int(keep->manifest, "v", 1);
    }
    buf_deinit(&text);
    mem_free(path);
    return ok;
}

/* The object of that name within another, made where it is not there. */
static struct json_object *within(struct json_object *object, const char *name)
{
    struct json_object *found = NULL;
    if (json_object_object_get_ex(object, name, &found) &&
        json_object_is_type(found, json_type_object))
        return found;
    found = json_object_new_object();
    json_object_object_add(object, name, found);
    return found;
}

static int64_t number_of(struct json_object *object, const char *name)
{
    struct json_object *value = NULL;
    return json_object_object_get_ex(object, name, &value) ? json_object_get_int64(value) : 0;
}

/* What the manifest names must be there still, whole by its size. */
static bool check_files(struct keep *keep, struct err *err)
{
    struct json_object *files = NULL;
    if (!json_object_object_get_ex(keep->place, "files", &files))
        return true;
    for (size_t i = 0; i < json_object_array_length(files); i++) {
        struct json_object *file = json_object_array_get_idx(files, i), *name = NULL;
        struct stat info;
        char *path;
        bool ok;
        if (!json_object_object_get_ex(file, "name", &name))
            return err_set(err, ERR_INPUT, "the manifest names a file without a name");
        path = mem_printf("%s/%s", keep->dir, json_object_get_string(name));
        ok = stat(path, &info) == 0 && info.st_size == number_of(file, "bytes");
        if (!ok)
            (void)err_set(err, ERR_INPUT, "%s is not what the manifest says; nothing was changed",
                          path);
        mem_free(path);
        if (!ok)
            return false;
    }
    return true;
}

/* ---- one partition ---- */

static void note_file(struct keep *keep, const char *name)
{
    struct json_object *files = NULL, *file = json_object_new_object();
    char sha[SHA256_HEX_MAX];
    if (!json_object_object_get_ex(keep->place, "files", &files)) {
        files = json_object_new_array();
        json_object_object_add(keep->place, "files", files);
    }
    sha256_hex(buf_slice(&keep->lines), sha);
    json_add_text(file, "name", name);
    json_add_int(file, "first", keep->first);
    json_add_int(file, "last", keep->last);
    json_add_uint(file, "records", keep->records);
    json_add_uint(file, "bytes", keep->lines.len);
    json_add_text(file, "sha256", sha);
    json_object_array_add(files, file);
    json_add_int(keep->place, "next", keep->last + 1);
    json_add_uint(keep->place, "records",
                  (uint64_t)number_of(keep->place, "records") + keep->records);
}

/* What was read so far becomes a file, and part of the manifest. */
static bool close_file(struct keep *keep, struct err *err)
{
    char *name, *path, *folder;
    bool ok;
    if (keep->records == 0)
        return true;
    name = mem_printf("%s/%020" PRId64 ".jsonl", keep->folder, keep->first);
    path = mem_printf("%s/%s", keep->dir, name);
    folder = mem_printf("%s/%s", keep->dir, keep->folder);
    ok = put_file(folder, path, buf_slice(&keep->lines), err);
    CRASH_POINT("dlq_keep_file");
    if (ok) {
        note_file(keep, name);
        ok = put_manifest(keep, err);
        CRASH_POINT("dlq_keep_manifest");
    }
    if (ok) {
        keep->kept += keep->records;
        keep->files++;
    }
    buf_reset(&keep->lines);
    keep->records = 0;
    mem_free(name);
    mem_free(path);
    mem_free(folder);
    return ok;
}

static bool take(void *arg, const struct record *rec)
{
    struct keep *keep = arg;
    int64_t next = number_of(keep->place, "next");
    if (keep->records == 0) {
        keep->first = rec->offset;
        if (next > 0 && rec->offset > next)
            fprintf(stderr, "%s: offsets %" PRId64 " to %" PRId64 " hold nothing (any more)\n",
                    keep->folder, next, rec->offset - 1);
    }
    letter_line_write(&keep->lines, rec);
    keep->last = rec->offset;
    keep->records++;
    progress_show(&keep->progress, keep->kept + keep->records, 0);
    if (keep->lines.len < FILE_BYTES && keep->records < FILE_RECORDS)
        return true;
    return close_file(keep, &keep->err);
}

static bool keep_partition(struct keep *keep, const struct dlq_topic *topic, int32_t partition,
                           struct json_object *place, struct err *err)
{
    struct kafka_reader_range range = {topic->name, partition, number_of(place, "next")};
    char *folder = mem_printf("%s/%s", keep->dir, keep->folder);
    bool ok;
    keep->place = place;
    keep->err = (struct err){0};
    ok = check_files(keep, err) && make_folder(folder, err) &&
         dlq_read(keep->dlq->loop, keep->dlq->config, &range, 1, take, keep, err);
    if (ok && keep->err.code) {
        *err = keep->err;
        ok = false;
    }
    ok = ok && close_file(keep, err);
    buf_reset(&keep->lines);
    keep->records = 0;
    mem_free(folder);
    return ok;
}

static bool keep_topic(struct keep *keep, const struct dlq_topic *topic, struct err *err)
{
    char id[LETTER_TOPIC_MAX];
    char *name, *folder;
    struct json_object *kept, *partitions;
    bool ok;
    letter_id_topic(topic->uuid, topic->name, id);
    name = topic->uuid[0] ? mem_printf("%s@%s", topic->name, id) : mem_strdup(topic->name);
    folder = mem_printf("%s/%s", keep->dir, name);
    kept = within(within(keep->manifest, "topics"), name);
    json_add_text(kept, "topic", topic->name);
    json_add_text(kept, "uuid", topic->uuid);
    partitions = within(kept, "partitions");
    ok = make_folder(folder, err);
    for (int32_t p = 0; ok && p < topic->partitions; p++) {
        char number[16];
        snprintf(number, sizeof(number), "%d", (int)p);
        keep->folder = mem_printf("%s/%s", name, number);
        ok = keep_partition(keep, topic, p, within(partitions, number), err);
        mem_free(keep->folder);
    }
    mem_free(folder);
    mem_free(name);
    return ok;
}

/* ---- the command ---- */

/* One at a time writes into a folder. */
static bool take_lock(struct keep *keep, struct err *err)
{
    char *path = mem_printf("%s/.lock", keep->dir);
    bool ok = true;
    keep->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (keep->lock < 0)
        ok = io_error(err, "cannot open", path);
    else if (flock(keep->lock, LOCK_EX | LOCK_NB) != 0)
        ok = err_set_retriable(err, ERR_AGAIN, "another archive-to writes into %s", keep->dir);
    mem_free(path);
    return ok;
}

static bool keep_all(struct keep *keep, const struct dlq_topics *topics, struct err *err)
{
    bool ok = make_folder(keep->dir, err) && take_lock(keep, err) && read_manifest(keep, err);
    for (size_t i = 0; ok && i < topics->count; i++) {
        if (topics->items[i].exists)
            ok = keep_topic(keep, &topics->items[i], err);
    }
    return ok && put_manifest(keep, err) && sync_folder(keep->dir, err);
}

int dlq_archive_to(struct dlq *dlq)
{
    struct keep keep = {.dlq = dlq, .dir = dlq->cli->argv[1], .lock = -1};
    const char *route = cli_option(dlq->cli, "--route");
    const char *topic = cli_option(dlq->cli, "--topic");
    struct dlq_topics topics;
    struct err err = {0};
    bool ok;
    if (!dlq_topics_find(dlq->loop, dlq->config, route, topic, &topics, &err))
        return cli_fail(&err);
    progress_begin(&keep.progress, "keeping dead letters");
    ok = keep_all(&keep, &topics, &err);
    progress_end(&keep.progress);
    fprintf(stderr, "%" PRIu64 " dead letters were kept, in %" PRIu64 " files\n", keep.kept,
            keep.files);
    if (keep.lock >= 0)
        close(keep.lock);
    json_object_put(keep.manifest);
    buf_deinit(&keep.lines);
    dlq_topics_deinit(&topics);
    return ok ? EXIT_OK : cli_fail(&err);
}
