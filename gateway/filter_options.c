/* A filter from the command line; see filter_options.h. */
#include "filter_options.h"

#include <stdio.h>

#include "base/clock.h"

bool filter_options_read(struct cli *cli, struct dlq_filter *filter, struct err *err)
{
    static const char *const names[] = {"route", "topic", "code", "status", "signature", "key",
                                        "since", "until", "text", "state",  "id"};
    int64_t now_ms = clock_wall_ms();
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        char option[24];
        const char *value;
        snprintf(option, sizeof(option), "--%s", names[i]);
        while ((value = cli_option(cli, option)) != NULL) {
            if (!dlq_filter_set(filter, names[i], slice_of(value), now_ms, err))
                return false;
        }
    }
    return true;
}
