/* See put_away.h. Must not: write anywhere. */
#include "dlq/put_away.h"

#include "base/clock.h"
#include "base/mem.h"
#include "dlq/topic_route.h"

void put_away_take(struct put_away *out, const struct route_config *route,
                   const struct dlq_row *row)
{
    *out = (struct put_away){.route = route,
                             .state_key = mem_strdup(row->state_key),
                             .redrive_id = mem_strdup(row->redrive_id),
                             .code = mem_strdup(row->code),
                             .result = row->result,
                             .redrive_count = row->redrive_count};
}

bool put_away_choose(struct put_away *out, const struct config *config, const struct dlq_row *row)
{
    const struct route_config *route = dlq_topic_route(config, row->topic);
    if (!route || !(row->state & (DLQ_STATE_OPEN | DLQ_STATE_RESOLVED)))
        return false;
    put_away_take(out, route, row);
    return true;
}

void put_away_deinit(struct put_away *item)
{
    mem_free(item->state_key);
    mem_free(item->redrive_id);
    mem_free(item->code);
    *item = (struct put_away){0};
}

void put_away_write(struct buf *out, const struct put_away *item, const char *by,
                    const char *reason, struct slice edited_to)
{
    struct letter_state state = {.status = LETTER_ARCHIVED,
                                 .result = item->result,
                                 .redrive_count = item->redrive_count,
                                 .by = slice_of(by),
                                 .at_ms = clock_wall_ms(),
                                 .reason = slice_of(reason),
                                 .edited_to = edited_to};
    if (item->redrive_id[0])
        state.redrive_id = slice_of(item->redrive_id);
    if (item->result == LETTER_RESULT_FAILED)
        state.code = slice_of(item->code);
    letter_state_write(out, &state);
}
