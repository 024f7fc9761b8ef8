#!lua
-- Lets a key go on that dead letters block: their entries go. The records stay done.
--
-- KEYS    1 bucket <ns>:{shard}:b:..., 2 state <ns>:{shard}:k:..., 3 parked list <ns>:{shard}:p:...
-- ARGV    1 the key's field in its bucket; empty: its scope has none, 2 ttl ms
-- RETURNS how many dead letters blocked it
-- COST    O(n) where n records are parked
-- CALLER  src/ledger/requests.c
local pack, unpack = struct.pack, struct.unpack
local byte, sub, char, format = string.byte, string.sub, string.char, string.format
local band, bor, lshift, rshift = bit.band, bit.bor, bit.lshift, bit.rshift
local call = redis.call
local t = call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local rank
--@include codes
--@include key
--@include numbers
--@include sequence
--@include ranges
--@include place
--@include small
--@include state
--@include parked
place.bucket, place.field, place.key = KEYS[1], ARGV[1], KEYS[2]
if not pcall(state_read) then
    return redis.error_reply('ONCEGATE the state of the key cannot be read')
end
local released = 0
if s.count > 0 then
    local entries = call('ZRANGEBYSCORE', KEYS[3], '-inf', ENTRIES_END)
    for i = 1, #entries do
        if blocks(entries[i]) then
            released = released + call('ZREM', KEYS[3], entries[i])
        end
    end
end
if released > 0 then
    parked_reload(KEYS[3])
    state_save(KEYS[3], tonumber(ARGV[2]))
end
return released
