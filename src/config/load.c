/* From a file to a checked configuration: the order of the steps, and who owns what on each way
 * out. */
#include "config/load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "config/problems.h"

const char *config_file(const char *given)
{
    const char *named = getenv("ONCEGATE_CONFIG");

    if (given)
        return given;
    return named && named[0] != '\0' ? named : "oncegate.yaml";
}

void config_free(struct config **config)
{
    if (!*config)
        return;
    config_release(*config);
    mem_free((*config)->file);
    mem_free(*config);
    *config = NULL;
}

/* Where each route stands, for messages at run time. */
static void note_lines(struct config *config, const struct node *root)
{
    const struct node *routes = node_get(root, "routes");

    if (!routes || routes->kind != NODE_LIST)
        return;
    for (const struct node *node = routes->first; node; node = node->next)
        if (node->index < config->route_count)
            config->routes[node->index].line = node->line;
}

static struct config *build(struct node *root, const char *name, struct config_problems *problems)
{
    struct config *config = mem_zalloc(sizeof(*config));
    struct load load = {problems, config};

    config->file = mem_strdup(name);
    load_section(&load, "", root, config);
    note_lines(config, root);
    config_derive(config);
    config_check_relations(&load, root);
    return config;
}

struct config *config_parse(const char *text, size_t len, const char *name,
                            struct config_problems *problems, struct err *err)
{
    struct config *config = NULL;
    struct node *root = node_parse(text, len, true, problems);

    if (root)
        config = build(root, name, problems);
    node_free(&root);
    problems_sort(problems);
    size_t errors = problems_errors(problems);
    if (errors) {
        config_free(&config);
        err_set(err, ERR_CONFIG, "%s: %zu error%s", name, errors, errors == 1 ? "" : "s");
    }
    return config;
}

static bool read_fd(int fd, struct buf *out)
{
    for (;;) {
        buf_reserve(out, 16384);
        ssize_t n = read(fd, out->data + out->len, 16384);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0;
        out->len += (size_t)n;
        if (out->len > NODE_FILE_MAX)
            return true; /* refused by its size later */
    }
}

static bool read_file(const char *file, struct buf *out, struct err *err)
{
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return err_set(err, errno == ENOENT ? ERR_NO_FILE : ERR_IO, "%s: %s", file,
                       strerror(errno));
    bool ok = true;
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        ok = err_set(err, ERR_NO_FILE, "%s is a directory", file);
    else if (!read_fd(fd, out))
        ok = err_set(err, ERR_IO, "%s: %s", file, strerror(errno));
    close(fd);
    return ok;
}

struct config *config_load(const char *file, struct config_problems *problems, struct err *err)
{
    struct buf text = {0};
    struct config *config = NULL;

    if (read_file(file, &text, err))
        config = config_parse(text.data ? text.data : "", text.len, file, problems, err);
    buf_deinit(&text);
    return config;
}

const struct route_config *config_find_route(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->route_count; i++)
        if (strcmp(config->routes[i].name, name) == 0)
            return &config->routes[i];
    return NULL;
}
