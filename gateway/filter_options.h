/* The options that say which dead letters: the names of dlq/filter.h with two dashes. */
#ifndef OG_GATEWAY_FILTER_OPTIONS_H
#define OG_GATEWAY_FILTER_OPTIONS_H

#include "cli.h"
#include "dlq/filter.h"

/* Takes them out of the command's options, into an initialised filter. */
bool filter_options_read(struct cli *cli, struct dlq_filter *filter, struct err *err) MUST_CHECK;

#endif
