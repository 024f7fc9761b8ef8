/*
 * The files of an archive; see archive_folder.h. A file is written beside its place, synced, and
 * renamed into it; then the manifest is replaced in the same way. So whatever is killed when, a
 * file that the manifest names is whole, has the size and the SHA-256 that stand there, and the
 * next run goes on behind the last one. A file is never changed once the manifest names it.
 */
#include "archive_folder.h"

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
#include "json_print.h"
#include "record/letter_state.h"

#define MANIFEST_MOST (256u << 20)
#define WRITE_MOST    65536

struct archive_folder {
    char *dir;
    int lock;
    struct json_object *manifest;
    /* The partition that is entered. */
    struct json_object *place; /* in the manifest */
    char *name;                /* below dir */
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
        CRASH_POINT("archive_written");
        bytes.data += n;
        bytes.len -= (size_t)n;
    }
    return true;
}

/* The whole of it stands at path, or nothing new does. */
static bool put_file(const char *parent, const char *path, struct slice bytes, struct err *err)
{
    char *part = mem_printf("%s.part", path);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write_bytes(fd, bytes) && fsync(fd) == 0;
    if (!ok)
        (void)io_error(err, "cannot write", part);
    if (fd >= 0 && close(fd) != 0 && ok)
        ok = io_error(err, "cannot write", part);
    CRASH_POINT("archive_synced");
    if (ok && rename(part, path) != 0)
        ok = io_error(err, "cannot rename to", path);
    mem_free(part);
    return ok && sync_folder(parent, err);
}

static bool make_folder(const char *path, struct err *err)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return true;
    return io_error(err, "cannot make", path);
}

/* ---- the manifest ---- */

static bool put_manifest(struct archive_folder *folder, struct err *err)
{
    char *path = mem_printf("%s/manifest.json", folder->dir);
    struct buf text = {0};
    bool ok;
    json_object_object_del(folder->manifest, "written");
    json_add_time(folder->manifest, "written", clock_wall_ms());
    json_write(folder->manifest, true, &text);
    buf_add_char(&text, '\n');
    ok = put_file(folder->dir, path, buf_slice(&text), err);
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

static bool read_manifest(struct archive_folder *folder, struct err *err)
{
    char *path = mem_printf("%s/manifest.json", folder->dir);
    struct buf text = {0};
    struct json_object *version = NULL;
    bool there = false;
    bool ok = read_text(path, &text, &there, err);
    if (ok && there) {
        folder->manifest = json_tokener_parse(text.data ? text.data : "");
        if (!json_object_is_type(folder->manifest, json_type_object) ||
            !json_object_object_get_ex(folder->manifest, "v", &version) ||
            json_object_get_int(version) != 1)
            ok = err_set(err, ERR_INPUT, "%s is no manifest of this program; nothing was changed",
                         path);
    } else if (ok) {
        folder->manifest = json_object_new_object();
        json_add_int(folder->manifest, "v", 1);
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
static bool check_files(struct archive_folder *folder, struct err *err)
{
    struct json_object *files = NULL;
    if (!json_object_object_get_ex(folder->place, "files", &files))
        return true;
    for (size_t i = 0; i < json_object_array_length(files); i++) {
        struct json_object *file = json_object_array_get_idx(files, i), *name = NULL;
        struct stat info;
        char *path;
        bool ok;
        if (!json_object_object_get_ex(file, "name", &name))
            return err_set(err, ERR_INPUT, "the manifest names a file without a name");
        path = mem_printf("%s/%s", folder->dir, json_object_get_string(name));
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

/* The topic's name in the folder, which a topic made again does not share. */
static char *name_of(const char *topic, const char *uuid)
{
    char id[LETTER_TOPIC_MAX];
    letter_id_topic(uuid, topic, id);
    return uuid[0] ? mem_printf("%s@%s", topic, id) : mem_strdup(topic);
}

static bool make_folders(const struct archive_folder *folder, const char *topic, struct err *err)
{
    char *outer = mem_printf("%s/%s", folder->dir, topic);
    char *inner = mem_printf("%s/%s", folder->dir, folder->name);
    bool ok = make_folder(outer, err) && make_folder(inner, err);
    mem_free(outer);
    mem_free(inner);
    return ok;
}

bool archive_folder_enter(struct archive_folder *folder, const char *topic, const char *uuid,
                          int32_t partition, struct err *err)
{
    char number[16];
    char *name = name_of(topic, uuid);
    struct json_object *kept = within(within(folder->manifest, "topics"), name);
    bool ok;
    snprintf(number, sizeof(number), "%d", (int)partition);
    json_add_text(kept, "topic", topic);
    json_add_text(kept, "uuid", uuid);
    folder->place = within(within(kept, "partitions"), number);
    mem_free(folder->name);
    folder->name = mem_printf("%s/%s", name, number);
    ok = check_files(folder, err) && make_folders(folder, name, err);
    mem_free(name);
    return ok;
}

const char *archive_folder_place(const struct archive_folder *folder)
{
    return folder->name;
}

int64_t archive_folder_next(const struct archive_folder *folder)
{
    return number_of(folder->place, "next");
}

static void note_file(struct archive_folder *folder, const struct archive_file *what,
                      const char *name)
{
    struct json_object *files = NULL, *file = json_object_new_object();
    char sha[SHA256_HEX_MAX];
    if (!json_object_object_get_ex(folder->place, "files", &files)) {
        files = json_object_new_array();
        json_object_object_add(folder->place, "files", files);
    }
    sha256_hex(what->lines, sha);
    json_add_text(file, "name", name);
    json_add_int(file, "first", what->first);
    json_add_int(file, "last", what->last);
    json_add_uint(file, "records", what->records);
    json_add_uint(file, "bytes", what->lines.len);
    json_add_text(file, "sha256", sha);
    json_object_array_add(files, file);
    json_add_int(folder->place, "next", what->last + 1);
    json_add_uint(folder->place, "records",
                  (uint64_t)number_of(folder->place, "records") + what->records);
}

bool archive_folder_add(struct archive_folder *folder, const struct archive_file *what,
                        struct err *err)
{
    char *name = mem_printf("%s/%020" PRId64 ".jsonl", folder->name, what->first);
    char *path = mem_printf("%s/%s", folder->dir, name);
    char *parent = mem_printf("%s/%s", folder->dir, folder->name);
    bool ok = put_file(parent, path, what->lines, err);
    CRASH_POINT("archive_file");
    if (ok) {
        note_file(folder, what, name);
        ok = put_manifest(folder, err);
        CRASH_POINT("archive_manifest");
    }
    mem_free(name);
    mem_free(path);
    mem_free(parent);
    return ok;
}

/* ---- the folder ---- */

/* One at a time writes into a folder. */
static bool take_lock(struct archive_folder *folder, struct err *err)
{
    char *path = mem_printf("%s/.lock", folder->dir);
    bool ok = true;
    folder->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (folder->lock < 0)
        ok = io_error(err, "cannot open", path);
    else if (flock(folder->lock, LOCK_EX | LOCK_NB) != 0)
        ok = err_set_retriable(err, ERR_AGAIN, "another archive-to writes into %s", folder->dir);
    mem_free(path);
    return ok;
}

struct archive_folder *archive_folder_open(const char *dir, struct err *err)
{
    struct archive_folder *folder = mem_zalloc(sizeof(*folder));
    folder->dir = mem_strdup(dir);
    folder->lock = -1;
    if (!make_folder(dir, err) || !take_lock(folder, err) || !read_manifest(folder, err))
        archive_folder_close(&folder);
    return folder;
}

bool archive_folder_end(struct archive_folder *folder, struct err *err)
{
    return put_manifest(folder, err) && sync_folder(folder->dir, err);
}

void archive_folder_close(struct archive_folder **folder_p)
{
    struct archive_folder *folder = *folder_p;
    if (!folder)
        return;
    *folder_p = NULL;
    if (folder->lock >= 0)
        close(folder->lock);
    json_object_put(folder->manifest);
    mem_free(folder->name);
    mem_free(folder->dir);
    mem_free(folder);
}
