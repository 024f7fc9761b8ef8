/* The memory that hiredis allocates: as before, but for one large block that each thread keeps. */
#ifndef OG_LEDGER_BLOCKS_H
#define OG_LEDGER_BLOCKS_H

/* Once or more, from any thread. */
void blocks_install(void);

#endif
