#!lua
-- Takes a new fence token for an owner: larger than the stored one, and no less than Redis' time. And says whether the owner's
-- partition is known to be built: its parked records are in the ledger. That is forgotten with the data, and only mark_built says it.
--
-- KEYS    1 fence hash  <ns>:{fence}:<group>
-- ARGV    1 owner name "<topic>/<partition>", 2 now ms, 0 = TIME
-- RETURNS the token as decimal text; 1 built, 0 not
-- COST    O(1)
-- CALLER  src/ledger/fences.c
local now = tonumber(ARGV[2])
if now == 0 then
    local t = redis.call('TIME')
    now = t[1] * 1000 + math.floor(t[2] / 1000)
end
local stored = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or 0)
local token = string.format('%.0f', math.max(stored + 1, now))
redis.call('HSET', KEYS[1], ARGV[1], token)
return { token, redis.call('HEXISTS', KEYS[1], ARGV[1] .. '!') }
