/* og-support: the instruments of the end-to-end tests in one program. */
#include <stdio.h>
#include <string.h>

#include "verbs.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *does;
} verbs[] = {
    {"handler", verb_handler, "an HTTP handler that writes down what it sees"},
    {"produce", verb_produce, "produces records, one line for each acknowledged"},
    {"dump", verb_dump, "what topics hold, from beginning to end"},
    {"committed", verb_committed, "what a group has committed"},
    {"topics", verb_topics, "create, delete, config, list"},
    {"aborted", verb_aborted, "ends a partition in an aborted transaction"},
    {"group", verb_group, "a group's state and members"},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (strcmp(argv[1], verbs[i].name) == 0)
            return verbs[i].run(argc - 1, argv + 1);
    puts("usage: og-support VERB [options]");
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        printf("  %-10s %s\n", verbs[i].name, verbs[i].does);
    return 64;
}
