#!lua
-- Says that all that is parked for an owner's partition is in the ledger (again). Only its present owner may: what an older one
-- read may be older than the last loss of data.
--
-- KEYS    1 fence hash  <ns>:{fence}:<group>
-- ARGV    1 owner name "<topic>/<partition>", 2 its token
-- RETURNS 1 marked, 0 the token is not the stored one
-- COST    O(1)
-- CALLER  src/ledger/fences.c
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then
    return 0
end
redis.call('HSET', KEYS[1], ARGV[1] .. '!', '1')
return 1
