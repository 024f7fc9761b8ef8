#!lua
-- Makes an owner's newest fence token known in one shard of a cluster; a higher one stays. And says whether the owner's partition is
-- known to be built there, and whether the shard knew a token of it before: where it does not, though there was one, its data are lost.
--
-- KEYS    1 fence hash of the shard  <ns>:{<shard>}:f:<group>
-- ARGV    1 owner name "<topic>/<partition>", 2 token
-- RETURNS the token that is stored now as decimal text; 1 built, 0 not; 1 there was a token, 0 none
-- COST    O(1)
-- CALLER  src/ledger/fences.c
local stored, token = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or -1), tonumber(ARGV[2])
if stored < token then
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
return {
    string.format('%.0f', math.max(stored, token)),
    redis.call('HEXISTS', KEYS[1], ARGV[1] .. '!'),
    stored >= 0 and 1 or 0,
}
