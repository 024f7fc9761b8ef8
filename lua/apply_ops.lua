#!lua
-- Applies a batch of claims and finishes, item by item in the order given; one broken state spoils its own item only.
-- Idempotent for the same items: an unknown outcome is sent again.
--
-- KEYS    F fence hashes  <ns>:{fence}:<group>
--         then for each item its state <ns>:{shard}:k:..., its parked list <ns>:{shard}:p:..., for an event-id its id key
--         <ns>:{shard}:i:..., for a redriven record its redrive key <ns>:{shard}:r:...
-- ARGV    1 header, then scope lines, owner lines and items, all packed: docs/ledger.md has the layout
-- RETURNS integers: for each item its answer, followed by the milliseconds of BUSY, by how far below the last a DUP is whose number was
--         used again, or by the head's tier and offset; where it was asked for, and it is OK and as long as a plain one, followed by the state as a string
-- COST    one GET and at most one SET an item; where records of the key are parked some O(log n) more
-- CALLER  src/ledger/batch.c
local call, redis_pcall, type = redis.call, redis.pcall, type
local pack, unpack = struct.pack, struct.unpack
local byte, sub, char, format = string.byte, string.sub, string.char, string.format
local band, bor, lshift, rshift = bit.band, bit.bor, bit.lshift, bit.rshift
--@include codes
--@include key

local CLAIM, SUCCEEDED, PARKED, RELEASE = 1, 2, 4, 5
local SOURCE, TIER, REDRIVE = 0, 1, 2
local SEQUENCE, VERSION, EVENT_ID, OFFSET, NONE = 0, 1, 2, 3, 4
local OBSERVE, HAS_GHOST, FORCE, KEEP_CLAIM, TELL = 1, 2, 4, 8, 16
local WIRE_VERSION = 1

-- The item at hand.
local item, verb, flags, source, src, off, le, kind, Eh, El, Sh, Sl, hop, x
local scope, owner, state_key, parked_key, id_key, redrive_key
local now
local out, n = {}, 0 -- the answers, and how many integers there are
local deadlines = {} -- packed, by lease
local fences = {} -- stored tokens by fence key and owner, as far as this call has seen them

local function fenced()
    if owner.passed then
        return false
    end
    local seen = fences[owner.fence]
    local stored = seen[owner.name]
    if not stored then
        stored = tonumber(call('HGET', owner.fence, owner.name) or -1)
        if stored >= 0 and stored < owner.token then
            call('HSET', owner.fence, owner.name, format('%.0f', owner.token))
            stored = owner.token
        end
        seen[owner.name] = stored
    elseif stored >= 0 and stored < owner.token then
        call('HSET', owner.fence, owner.name, format('%.0f', owner.token))
        seen[owner.name], stored = owner.token, owner.token
    end
    -- Alone of its name in this call, it cannot be overtaken within it.
    owner.passed = stored == owner.token and owner.alone
    return stored ~= owner.token
end

local function deadline_of(lease)
    local deadline = deadlines[lease]
    if not deadline then
        deadline = pack('>I6', now + lease)
        deadlines[lease] = deadline
    end
    return deadline
end

--@include straight

-- Everything else. A call of the script makes all its functions anew, and Lua finds what a function captures by walking a list: so
-- what most calls do not need is inside a function of its own, which is called at most once.
local function general()
--@include numbers
--@include sequence
--@include ranges
--@include state
--@include marks
--@include parked
--@include claim
--@include finish
--@include answer
return apply, corrupt
end

local version, fence_count, scope_count, owner_count
version, fence_count, scope_count, owner_count, now = unpack('>BBBBI8', ARGV[1])
if version ~= WIRE_VERSION then
    return redis.error_reply('ONCEGATE this script speaks wire version 1')
end
if now == 0 then
    local t = call('TIME')
    now = t[1] * 1000 + math.floor(t[2] / 1000)
end
local scopes, owners, named = {}, {}, {}
for i = 1, fence_count do
    fences[KEYS[i]] = {}
end
for i = 1, scope_count do
    local how, ttl, ghost, cap = unpack('>BI8I8I4', ARGV[1 + i])
    scopes[i] = { ordered = how % 2 == 1, ttl = format('%.0f', ttl), ghost = ghost, cap = cap }
end
for i = 1, owner_count do
    local line = ARGV[1 + scope_count + i]
    local fence, token = unpack('>Bc8I8', line), unpack('>I8', line, 10)
    local name = KEYS[fence] .. sub(line, 18)
    owners[i] = { fence = KEYS[fence], token = token, id = sub(line, 2, 17), name = sub(line, 18), alone = not named[name] }
    if named[name] then
        named[name].alone = false
    end
    named[name] = owners[i]
end
local apply, corrupt
local key = fence_count + 1
for i = 2 + scope_count + owner_count, #ARGV do
    item = ARGV[i]
    local scope_index, owner_index
    verb, flags, source, scope_index, owner_index, src, off, le, kind, Eh, El, Sh, Sl, hop, x =
        unpack('>BBBBBc12I8I4BI4I4I4I4I4I4', item)
    scope, owner = scopes[scope_index], owners[owner_index]
    state_key, parked_key = KEYS[key], KEYS[key + 1]
    key = key + 2
    if kind == EVENT_ID then
        id_key = KEYS[key]
        key = key + 1
    end
    if source == REDRIVE then
        redrive_key = KEYS[key]
        key = key + 1
    end
    local tell = flags >= TELL
    if tell then
        flags = flags - TELL
    end
    local v = redis_pcall('GET', state_key)
    local len, kept = type(v) == 'string' and #v, n
    local after = len == STRAIGHT_CLAIMED and verb == SUCCEEDED and straight_finish(v)
    if after then
        n = n + 1
        out[n] = 33 * codes.OK
        if tell then
            out[n], out[n + 1] = out[n] + 2 ^ 45, after
            n = n + 1
        end
    elseif len == STRAIGHT and verb == CLAIM and straight_claim(v) then
        n = n + 1
        out[n] = 33 * codes.GO
    else
        if not apply then
            apply, corrupt = general()
        end
        if not pcall(apply, v) then
            n = kept
            corrupt()
        elseif tell and s.saved and out[kept + 1] % 32 == codes.OK and (#s.saved == STRAIGHT or #s.saved == STRAIGHT_CLAIMED) then
            out[kept + 1] = out[kept + 1] + 2 ^ 45
            n = n + 1
            out[n] = s.saved
        end
    end
end
return out
