/* A private redis-server on a unix socket in a directory of its own, and a blocking connection to
 * it for the test itself. */
#ifndef OG_TESTS_REDIS_PEER_H
#define OG_TESTS_REDIS_PEER_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct redis_peer {
    char dir[64];
    char socket[96];
    pid_t pid;
    redisContext *admin;
    const char *config;      /* a configuration file, or NULL */
    const char *options[40]; /* extra command line, NULL-terminated; borrowed */
};

/* Skips the whole program (exit 77) where there is no redis-server. */
void redis_peer_start(struct redis_peer *peer, const char *const *options);
/* The same with a configuration file of this text, as a sentinel needs one. */
void redis_peer_start_with(struct redis_peer *peer, const char *config, const char *const *options);
void redis_peer_stop(struct redis_peer *peer);
/* Ends the server (as kill -9 does) and starts it again; with its data only where it was started
 * with appendonly. */
void redis_peer_kill(struct redis_peer *peer);
void redis_peer_resume(struct redis_peer *peer);
/* SIGSTOP and SIGCONT: connections stay, nothing answers. */
void redis_peer_signal(struct redis_peer *peer, int signo);
/* Lets it listen at a free TCP port as well (until it is killed); returns the port. */
uint16_t redis_peer_listen(struct redis_peer *peer);
/* One command, words split at blanks; the text, number or error of the answer as text ("(nil)" for
 * nothing). */
const char *redis_peer_do(struct redis_peer *peer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
long long redis_peer_number(struct redis_peer *peer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
