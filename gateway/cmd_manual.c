/* oncegate manual DIR: the manual pages, as the build makes them (the target `man`). */
#include <stdio.h>

#include "base/mem.h"
#include "commands.h"

static int write_page(const char *dir, const struct command *command)
{
    struct buf page = {0};
    char *name = mem_printf("%s/oncegate%s%s.1", dir, command ? "-" : "",
                            command ? command->name : "");
    FILE *file = fopen(name, "we");
    bool ok = false;
    command_manual(command, &page);
    if (file) {
        ok = fwrite(page.data, 1, page.len, file) == page.len;
        ok = fclose(file) == 0 && ok;
    }
    if (!ok)
        fprintf(stderr, "oncegate: cannot write %s\n", name);
    mem_free(name);
    buf_deinit(&page);
    return ok ? EXIT_OK : EXIT_IO;
}

int cmd_manual(struct cli *cli)
{
    int code = write_page(cli->argv[0], NULL);
    for (const struct command *it = COMMANDS; code == EXIT_OK && it->name; it++) {
        if (it->run && it->help)
            code = write_page(cli->argv[0], it);
    }
    return code;
}
