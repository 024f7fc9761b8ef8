/* The client library's version; see library.h. */
#include "ledger/library.h"

#include <hiredis/hiredis.h>

#define TEXT_OF(x)   #x
#define NUMBER_OF(x) TEXT_OF(x)

const char *ledger_library_version(void)
{
    return NUMBER_OF(HIREDIS_MAJOR) "." NUMBER_OF(HIREDIS_MINOR) "." NUMBER_OF(HIREDIS_PATCH);
}
