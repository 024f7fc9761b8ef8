/* The part of `check` that talks to brokers, Redis and handlers. */
#ifndef OG_GATEWAY_CHECK_CONNECT_H
#define OG_GATEWAY_CHECK_CONNECT_H

#include "cli.h"
#include "config/config.h"

/* Prints a line for each thing that was tried; returns the exit code. */
int check_connect(const struct config *config, struct cli *cli);

#endif
