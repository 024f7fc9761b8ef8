#!lua
-- Tells the state of one key as it is worked with, wherever it stands.
--
-- KEYS    1 bucket <ns>:{shard}:b:..., 2 state <ns>:{shard}:k:...
-- ARGV    1 the key's field in its bucket; empty: its scope has none
-- RETURNS the state, or nothing where there is none; what cannot be read as it stands there
-- COST    one HGET or GET
-- CALLER  src/ledger/requests.c
local pack, unpack = struct.pack, struct.unpack
local byte, sub, char, format = string.byte, string.sub, string.char, string.format
local call = redis.call
local band, bor, lshift, rshift = bit.band, bit.bor, bit.lshift, bit.rshift
local now -- nothing is written
--@include place
--@include numbers
--@include small
place.bucket, place.field, place.key = KEYS[1], ARGV[1], KEYS[2]
local v = place_find()
local readable, whole = pcall(widen, v or '')
return v and (readable and whole or v)
