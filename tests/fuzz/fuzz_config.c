/*
 * Any bytes as a configuration: it is refused with reasons or accepted; what is accepted is
 * printed, read back and printed again the same. No file is read: a key that names a secret's file
 * is skipped, since a found path would make runs differ between machines.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct config *parse(const char *text, size_t len, struct buf *told)
{
    struct config_problems problems = {0};
    struct err err = {0};
    struct config *config = config_parse(text, len, "fuzz", &problems, &err);

    config_problems_print(&problems, "fuzz", told);
    if (!config && problems.count == 0)
        abort(); /* refused without a reason */
    config_problems_free(&problems);
    return config;
}

static void check_accepted(const struct config *config, struct buf *told)
{
    struct buf first = {0}, second = {0}, rules = {0};

    for (size_t i = 0; i < config->route_count; i++)
        config_show_classify(&config->routes[i], &rules);
    config_show(config, &first);
    struct config *again = parse(first.data, first.len, told);
    if (!again)
        abort(); /* what is shown is not accepted */
    config_show(again, &second);
    if (strcmp(first.data, second.data) != 0)
        abort(); /* it means something else */
    config_free(&again);
    buf_deinit(&first);
    buf_deinit(&second);
    buf_deinit(&rules);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char secret_file[] = "_file";
    struct buf told = {0};

    if (size > 65536 || memmem(data, size, secret_file, sizeof(secret_file) - 1))
        return 0;
    struct config *config = parse((const char *)data, size, &told);
    if (config)
        check_accepted(config, &told);
    config_free(&config);
    buf_deinit(&told);
    return 0;
}
