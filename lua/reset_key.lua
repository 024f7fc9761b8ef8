#!lua
-- Forgets the state of one key: what is left is a generation one higher, so that older memories of it are told apart.
--
-- KEYS    1 state <ns>:{shard}:k:..., 2 parked list <ns>:{shard}:p:...
-- ARGV    1 ttl ms
-- RETURNS the new generation
-- COST    O(1); the list is unlinked
-- CALLER  src/ledger/requests.c
local pack, unpack = struct.pack, struct.unpack
local byte, sub, char, format = string.byte, string.sub, string.char, string.format
local band, bor, lshift, rshift = bit.band, bit.bor, bit.lshift, bit.rshift
local call = redis.call
--@include codes
--@include key
--@include numbers
--@include sequence
--@include ranges
--@include state
local v = redis.pcall('GET', KEYS[1])
local readable = type(v) ~= 'table' and pcall(state_load, v)
local generation = readable and s.generation + 1 or 1
state_load(false)
s.generation = generation
call('DEL', KEYS[1])
call('UNLINK', KEYS[2])
state_save(KEYS[1], KEYS[2], ARGV[1])
return generation
