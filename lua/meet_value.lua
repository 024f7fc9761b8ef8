#!lua
-- Remembers the first value that is seen for a field (a topic's UUID) and says how another one compares.
--
-- KEYS    1 hash  <ns>:{meta}:topics:<group> or <ns>:{meta}:groups
-- ARGV    1 field, 2 value
-- RETURNS 0 the field was new, 1 the same value stood there, 2 another one
-- COST    O(1)
-- CALLER  src/ledger/requests.c
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if stored == ARGV[2] then
    return 1
elseif stored then
    return 2
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 0
