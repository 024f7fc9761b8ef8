#!lua
-- Replaces states that are known byte for byte: the plain next record of a key whose last state the caller wrote itself. What
-- comes out is what apply_ops would have made of the same claim or finish; where a state is not the expected one nothing is
-- written, and the caller asks apply_ops. An item that only looks (nothing shall stand there: a duplicate) writes nothing either way.
-- Idempotent: an unknown outcome is sent again, finds another state then, and goes to apply_ops.
--
-- KEYS    F fence hashes  <ns>:{fence}:<group>, then for each item its state  <ns>:{shard}:k:...
-- ARGV    1 header, scope lines, owner lines, all packed (docs/ledger.md has the layout); then for each item its head, what is
--         expected to stand there, and what shall stand there, without the deadline of its claim. An argument of its own each: what
--         Lua cuts out of a string is hashed anew, byte by byte, and all hashing was a sixth of Redis' time
-- RETURNS one string: the time in ms, 8 bytes; then for each item a byte, 1 as expected (and replaced), 0 not
-- COST    one MGET; a SET for each item that is replaced, which leaves its expiry alone where the caller renewed it not long ago;
--         an HGET for each owner that claims or keeps a claim
-- CALLER  src/ledger/swap.c
local call = redis.call
local pack, read, spread = struct.pack, struct.unpack, unpack
local sub, char = string.sub, string.char
local WIRE_VERSION = 1

local version, fence_count, scope_count, owner_count, now = read('>BBBBI8', ARGV[1])
if version ~= WIRE_VERSION then
    return redis.error_reply('ONCEGATE this script speaks wire version 1')
end
if now == 0 then
    local t = call('TIME')
    now = t[1] * 1000 + math.floor(t[2] / 1000)
end
local lifetimes, passed = {}, {}
for i = 1, scope_count do
    lifetimes[i] = string.format('%.0f', (read('>I8', ARGV[1 + i])))
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

local first_key, first_item = fence_count, owners_at + owner_count
local count = (#ARGV - first_item) / 3
local states = count > 0 and call('MGET', spread(KEYS, first_key + 1))
local done, deadlines = {}, {}
for i = 1, count do
    local at = first_item + 3 * i
    local scope, owner, lease = read('>BBI4', ARGV[at - 2])
    done[i] = 0
    if states[i] == ARGV[at - 1] and (owner == 0 or passed[owner] or (passed[owner] == nil and is_newest(owner))) then
        local state = ARGV[at]
        done[i] = 1
        if lease > 0 then
            local deadline = deadlines[lease]
            if not deadline then
                deadline = pack('>I6', now + lease)
                deadlines[lease] = deadline
            end
            state = state .. deadline
        end
        if scope > 0 then
            call('SET', KEYS[first_key + i], state, 'PX', lifetimes[scope])
        elseif state ~= '' then
            call('SET', KEYS[first_key + i], state, 'KEEPTTL')
        end
    end
end
return pack('>I8', now) .. char(spread(done))
