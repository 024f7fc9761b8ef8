/* oncegate version */
#include <stdio.h>

#include "base/version.h"
#include "cli.h"
#include "kafka/library.h"
#include "ledger/library.h"

int cmd_version(struct cli *cli)
{
    (void)cli;
    printf("oncegate %s\nlibrdkafka %s\nhiredis %s\n", ONCEGATE_VERSION, kafka_library_version(),
           ledger_library_version());
    return EXIT_OK;
}
