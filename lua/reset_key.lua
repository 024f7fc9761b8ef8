#!lua
-- Forgets the state of one key: what is left is a generation one higher, so that older memories of it are told apart.
--
-- KEYS    1 bucket <ns>:{shard}:b:..., 2 state <ns>:{shard}:k:..., 3 parked list <ns>:{shard}:p:...
-- ARGV    1 the key's field in its bucket; empty: its scope has none, 2 ttl ms
-- RETURNS the new generation
-- COST    O(1); the list is unlinked
-- CALLER  src/ledger/requests.c
local pack, unpack = struct.pack, struct.unpack
local byte, sub, char, format = string.byte, string.sub, string.char, string.format
local band, bor, lshift, rshift = bit.band, bit.bor, bit.lshift, bit.rshift
local call = redis.call
local t = call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
--@include codes
--@include key
--@include numbers
--@include sequence
--@include ranges
--@include place
--@include small
--@include state
place.bucket, place.field, place.key = KEYS[1], ARGV[1], KEYS[2]
local readable = pcall(state_read)
local generation = readable and s.generation + 1 or 1
state_load(false)
s.generation = generation
call('UNLINK', KEYS[2], KEYS[3])
state_save(KEYS[3], tonumber(ARGV[2]))
return generation
