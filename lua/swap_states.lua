#!lua
-- Replaces states that are known byte for byte: the plain next record of a key whose last state the caller wrote itself. What
-- comes out is what apply_ops would have made of the same claim or finish; where a state is not the expected one nothing is
-- written, and the caller asks apply_ops. An item that only looks (nothing shall stand there: a duplicate) writes nothing either way.
-- Of a key that the caller does not know the same is done for a claim: it is granted where the state is a free one in order and
-- the record its plain next, or where there is no state. The caller is told what stood there.
-- Idempotent: an unknown outcome is sent again, finds another state then, and goes to apply_ops.
--
-- KEYS    F fence hashes  <ns>:{fence}:<group>, then for each item its bucket  <ns>:{shard}:b:...
-- ARGV    1 header, scope lines, owner lines, all packed (docs/ledger.md has the layout); then for each item its head, its field,
--         what is expected to stand there, and what shall stand there, without its time; or what the record of a claim is that
--         knows no state, and the claim. An argument of its own each: what Lua cuts out of a string is hashed anew, byte by byte,
--         and all hashing was a sixth of Redis' time
-- RETURNS one string: the time in ms, 8 bytes; then for each item a byte, 1 as expected (and replaced), 0 not, 2 claimed, and a free
--         state was there, 3 claimed, and there was none; then the states of those with 2, 42 bytes each
-- COST    one HGET an item; an HSET for each that is replaced, and a PTTL where its bucket's expiry was not looked at for a while; an
--         HGET for each owner that claims or keeps a claim
-- CALLER  src/ledger/swap.c
local call, look = redis.call, redis.pcall -- foreign data spoil their own item only
local pack, read, spread = struct.pack, struct.unpack, unpack
local unpack = read
local sub, byte, char, format = string.sub, string.byte, string.char, string.format
local WIRE_VERSION = 1

local version, fence_count, scope_count, owner_count, now = read('>BBBBI8', ARGV[1])
if version ~= WIRE_VERSION then
    return redis.error_reply('ONCEGATE this script speaks wire version 1')
end
if now == 0 then
    local t = call('TIME')
    now = t[1] * 1000 + math.floor(t[2] / 1000)
end
--@include place
local CLAIMED, NEW = char(AS.CLAIMED), char(AS.NEW)
local ttls, passed = {}, {}
for i = 1, scope_count do
    ttls[i] = read('>I8', ARGV[1 + i])
end
local owners_at = 1 + scope_count

-- Healing an older token and telling FENCED is apply_ops' work.
local function is_newest(owner)
    local line = ARGV[owners_at + owner]
    local fence, token = read('>BI8', line)
    local stored = call('HGET', KEYS[fence], sub(line, 10))
    passed[owner] = stored ~= false and tonumber(stored) == token
    return passed[owner]
end

-- What shall stand there once the record is claimed, without its time, and what is told of it; nothing where apply_ops is to be
-- asked. record: 0, as no state begins, epoch 6, number 6, source 8 + 2, leader epoch 3. claim: offset 6, owner 8 + token 6.
local function claimed(found, record, claim, ttl)
    if found == false then
        return NEW .. sub(record, 2, 23) .. claim, 3
    elseif #found ~= AS.LEN.FREE or byte(found) ~= AS.FREE then
        return nil
    end
    local E, S, source, leader = read('>xI6I6c10I3', record)
    local epoch, last, from, offset, mark, time = read('>xI6I6xxxxc10I6I3I6', found)
    if epoch == E and last + 1 == S and from == source and mark == leader and offset < read('>I6', claim) and time + ttl >= now then
        return CLAIMED .. sub(found, 2, 36) .. claim, 2
    end
end

local first_key, first_item = fence_count, owners_at + owner_count
local count = (#ARGV - first_item) / 4
local done, states, times = {}, {}, {}
for i = 1, count do
    local at = first_item + 4 * i
    local scope, owner, lease = read('>BBI4', ARGV[at - 3])
    local bucket, field, expected, wanted = KEYS[first_key + i], ARGV[at - 2], ARGV[at - 1], ARGV[at]
    local found, how = look('HGET', bucket, field), 1
    done[i] = 0
    if found ~= expected then
        wanted, how = nil, nil
        if byte(expected) == 0 then
            wanted, how = claimed(found, expected, ARGV[at], ttls[scope])
        end
    end
    if wanted and (owner == 0 or passed[owner] or (passed[owner] == nil and is_newest(owner))) then
        done[i] = how
        if how == 2 then
            states[#states + 1] = found
        end
        if wanted ~= '' then
            local time = times[lease]
            if not time then
                time = pack('>I6', now + lease)
                times[lease] = time
            end
            call('HSET', bucket, field, wanted .. time)
            if scope > 0 then
                place.bucket = bucket
                place_renew(ttls[scope])
            end
        end
    end
end
return pack('>I8', now) .. char(spread(done)) .. table.concat(states)
