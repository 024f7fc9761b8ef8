/* TCP ports for the servers of tests. */
#ifndef OG_TESTS_PORTS_H
#define OG_TESTS_PORTS_H

#include <stdint.h>

/* A port that nobody uses and that no other test takes before this program has ended, so that a
 * server can be killed and started again on it. Ends the program where there is none. */
uint16_t ports_take(void);

#endif
