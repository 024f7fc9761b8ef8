/*
 * Meets the source topics of an assignment: a topic that was deleted and made again under the same
 * name counts its offsets anew, and its new records would be taken for proven duplicates. Until the
 * ledger has said that each is the one it knows, the route delivers nothing.
 */
#ifndef OG_FLOW_MEET_H
#define OG_FLOW_MEET_H

struct route;

void meet_init(struct route *route);
void meet_deinit(struct route *route);
/* Sets HOLD_MEETING, asks brokers and ledger, and lifts it again; a topic that is another one holds
 * the route for a person. */
void meet_topics(struct route *route);

#endif
