/*
 * What answers are called in logs, metrics and `ledger get`. Must not change: dashboards know them.
 */
#include "ledger/ledger.h"

const char *ledger_code_name(enum ledger_code code)
{
    switch (code) {
    case LEDGER_GO:
        return "go";
    case LEDGER_DUP:
        return "duplicate";
    case LEDGER_DUP_PARKED:
        return "duplicate-parked";
    case LEDGER_INDETERMINATE:
        return "indeterminate";
    case LEDGER_STALE:
        return "stale";
    case LEDGER_BLOCKED:
        return "blocked";
    case LEDGER_NOT_HEAD:
        return "not-head";
    case LEDGER_BUSY:
        return "busy";
    case LEDGER_SUPERSEDED:
        return "superseded";
    case LEDGER_PARK_FULL:
        return "parked-full";
    case LEDGER_FENCED:
        return "fenced";
    case LEDGER_OUTDATED:
        return "outdated";
    case LEDGER_MOVED_ON:
        return "moved-on";
    case LEDGER_CORRUPT:
        return "corrupt";
    case LEDGER_OK:
        return "ok";
    case LEDGER_LOST:
        return "lost";
    case LEDGER_DONE:
        return "done";
    case LEDGER_REFUSED:
        return "refused";
    }
    return "unknown";
}
