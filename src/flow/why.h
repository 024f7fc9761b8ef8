/* Why something waits, in words: for /status, and for the log. */
#ifndef OG_FLOW_WHY_H
#define OG_FLOW_WHY_H

struct delivery;
struct part;
struct route;

#define WHY_MAX 300

/* What holds the partition's first record that is not settled; "" where nothing does. */
void why_of_part(const struct route *route, const struct part *part, char out[WHY_MAX]);
const char *why_of_record(const struct delivery *d);

#endif
