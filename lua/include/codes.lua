-- Answers; the numbers are those of enum ledger_code (src/ledger/ledger.h).
local GO, DUP, DUP_PARKED, INDETERMINATE, STALE = 0, 1, 2, 3, 4
local BLOCKED, NOT_HEAD, BUSY, SUPERSEDED, PARK_FULL = 5, 6, 7, 8, 9
local FENCED, OUTDATED, MOVED_ON, CORRUPT = 10, 11, 12, 13
local OK, LOST, DONE, REFUSED = 20, 21, 22, 23
