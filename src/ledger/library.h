/* Which client library is linked. */
#ifndef OG_LEDGER_LIBRARY_H
#define OG_LEDGER_LIBRARY_H

const char *ledger_library_version(void);

#endif
