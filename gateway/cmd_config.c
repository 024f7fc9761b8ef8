/* oncegate config schema | show | explain PATH, and `reference`, which makes docs/configuration.md.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "cli.h"

static int print(struct buf *out)
{
    int code = fputs(out->data ? out->data : "", stdout) < 0 ? EXIT_FAIL : EXIT_OK;

    buf_deinit(out);
    return code;
}

static int show(struct cli *cli)
{
    int code = EXIT_OK;
    struct buf out = {0};
    struct config *config = cli_load_config(cli, &code);

    if (!config)
        return code;
    config_show(config, &out);
    config_free(&config);
    return print(&out);
}

static int explain(const char *path)
{
    struct buf out = {0};
    struct err err = {0};

    if (config_explain(path, &out, &err))
        return print(&out);
    buf_deinit(&out);
    return cli_fail(&err);
}

int cmd_config(struct cli *cli)
{
    const char *verb = cli->argc > 0 ? cli->argv[0] : "";
    struct buf out = {0};

    if (strcmp(verb, "explain") == 0) {
        if (cli->argc != 2)
            return cli_usage("config", "explain takes one key, e.g. routes.handler.timeout");
        return explain(cli->argv[1]);
    }
    if (cli->argc > 1)
        return cli_usage("config", "nothing is expected behind %s: %s", verb, cli->argv[1]);
    if (strcmp(verb, "show") == 0)
        return show(cli);
    if (strcmp(verb, "schema") == 0) {
        config_schema(&out);
        return print(&out);
    }
    if (strcmp(verb, "reference") == 0) {
        config_reference(&out);
        return print(&out);
    }
    return cli_usage("config", "schema, show or explain PATH is expected%s%s",
                     verb[0] ? ", not " : "", verb);
}
