#!lua
-- Lets a key go on that dead letters block: their entries go. The records stay done.
--
-- KEYS    1 state <ns>:{shard}:k:..., 2 parked list <ns>:{shard}:p:...
-- ARGV    1 ttl ms
-- RETURNS how many dead letters blocked it
-- COST    O(n) where n records are parked
-- CALLER  src/ledger/requests.c
local pack, unpack = struct.pack, struct.unpack
local byte, sub, char, format = string.byte, string.sub, string.char, string.format
local band, bor, lshift, rshift = bit.band, bit.bor, bit.lshift, bit.rshift
local call = redis.call
local rank
--@include codes
--@include key
--@include numbers
--@include sequence
--@include ranges
--@include state
--@include parked
local v = redis.pcall('GET', KEYS[1])
if type(v) == 'table' or not pcall(state_load, v) then
    return redis.error_reply('ONCEGATE the state of the key cannot be read')
end
local released = 0
if s.count > 0 then
    local entries = call('ZRANGEBYSCORE', KEYS[2], '-inf', ENTRIES_END)
    for i = 1, #entries do
        if blocks(entries[i]) then
            released = released + call('ZREM', KEYS[2], entries[i])
        end
    end
end
if released > 0 then
    parked_reload(KEYS[2])
    state_save(KEYS[1], KEYS[2], ARGV[1])
end
return released
