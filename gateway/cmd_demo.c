/* oncegate demo */
#include <stdio.h>

#include "cli.h"

int cmd_demo(struct cli *cli)
{
    (void)cli;
    fputs("oncegate: demo: not in this version\n", stderr);
    return EXIT_USAGE;
}
