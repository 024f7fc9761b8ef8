#!lua
-- Applies a batch of claims and finishes, item by item in the order given; one broken state spoils its own item only.
-- Idempotent for the same items: an unknown outcome is sent again.
--
-- KEYS    F fence hashes  <ns>:{fence}:<group>
--         then for each item, where its scope has them, its bucket <ns>:{shard}:b:...; its state <ns>:{shard}:k:..., its parked
--         list <ns>:{shard}:p:..., for an event-id its id key <ns>:{shard}:i:..., for a redriven record its redrive key
--         <ns>:{shard}:r:...
-- ARGV    1 header, then scope lines, owner lines and items, all packed: docs/ledger.md has the layout; behind an item whose scope
--         has buckets the field of its key
-- RETURNS integers: for each item its answer, followed by the milliseconds of BUSY, by how far below the last a DUP is whose number was
--         used again, or by the head's tier and offset; where it was asked for, and it is GO or OK and a plain one, followed by what
--         stands in the bucket now, as a string
-- COST    one HGET or GET, at most one HSET and PTTL or one SET an item; where records of the key are parked some O(log n) more
-- CALLER  src/ledger/batch.c
local call = redis.call
local pack, unpack = struct.pack, struct.unpack
local byte, sub, char, format = string.byte, string.sub, string.char, string.format
local band, bor, lshift, rshift = bit.band, bit.bor, bit.lshift, bit.rshift
--@include codes
--@include key

local CLAIM, SUCCEEDED, PARKED, RELEASE = 1, 2, 4, 5
local ORDERED, BUCKETS = 1, 2 -- flags of a scope
local SOURCE, TIER, REDRIVE = 0, 1, 2
local SEQUENCE, VERSION, EVENT_ID, OFFSET, NONE = 0, 1, 2, 3, 4
local OBSERVE, HAS_GHOST, FORCE, KEEP_CLAIM, TELL = 1, 2, 4, 8, 16
local WIRE_VERSION = 1

-- The item at hand.
local item, verb, flags, source, src, off, le, kind, Eh, El, Sh, Sl, hop, x
local scope, owner, parked_key, id_key, redrive_key
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

--@include place
--@include straight

-- Everything else. A call of the script makes all its functions anew, and Lua finds what a function captures by walking a list: so
-- what most calls do not need is inside a function of its own, which is called at most once.
local function general()
--@include numbers
--@include small
--@include sequence
--@include ranges
--@include state
--@include marks
--@include parked
--@include claim
--@include finish
--@include answer
return apply, corrupt, is_plain
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
    scopes[i] = { ordered = band(how, ORDERED) ~= 0, buckets = band(how, BUCKETS) ~= 0, ttl = ttl, life = format('%.0f', ttl), ghost = ghost, cap = cap }
end
for i = 1, owner_count do
    local line = ARGV[1 + scope_count + i]
    local fence, token = unpack('>Bc8I8', line), unpack('>I8', line, 10)
    local name = KEYS[fence] .. sub(line, 18)
    owners[i] = { fence = KEYS[fence], token = token, id = sub(line, 2, 17), name = sub(line, 18), alone = not named[name] }
    if sub(line, 10, 11) == '\0\0' then
        owners[i].short = sub(line, 2, 9) .. sub(line, 12, 17) -- its id, in a small state
    end
    if named[name] then
        named[name].alone = false
    end
    named[name] = owners[i]
end
local apply, corrupt, is_plain
local key = fence_count + 1
local at = 2 + scope_count + owner_count
while at <= #ARGV do
    item = ARGV[at]
    local scope_index, owner_index
    verb, flags, source, scope_index, owner_index, src, off, le, kind, Eh, El, Sh, Sl, hop, x =
        unpack('>BBBBBc12I8I4BI4I4I4I4I4I4', item)
    scope, owner = scopes[scope_index], owners[owner_index]
    place.bucket, place.field, place.stood = nil, '', false
    if scope.buckets then
        place.bucket, place.field = KEYS[key], ARGV[at + 1]
        key, at = key + 1, at + 1
    end
    at = at + 1
    place.key, parked_key = KEYS[key], KEYS[key + 1]
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
    local readable, v = pcall(place_find)
    local how, kept = place.stood and readable and byte(place.stood), n
    if how and how ~= AS.APART and place.time > 0 and place.time + scope.ttl < now then
        v, how = false, nil
    end
    local code, after = codes.GO, false
    if verb == CLAIM then
        if how == AS.FREE and #v == AS.LEN.FREE then
            after = straight_claim(v)
        elseif v == false and place.bucket then
            after = straight_new()
        end
    elseif verb == SUCCEEDED and (how == AS.CLAIMED and #v == AS.LEN.CLAIMED or how == AS.NEW and #v == AS.LEN.NEW) then
        code, after = codes.OK, straight_finish(v)
    end
    if after then
        n = n + 1
        out[n] = 33 * code
        if tell then
            out[n], out[n + 1] = out[n] + 2 ^ 45, after
            n = n + 1
        end
    else
        if not apply then
            apply, corrupt, is_plain = general()
        end
        if not pcall(apply, v) then
            n = kept
            corrupt()
        elseif tell and s.told and is_plain(s.told) and out[kept + 1] % 32 == (verb == CLAIM and codes.GO or codes.OK) then
            out[kept + 1] = out[kept + 1] + 2 ^ 45
            n = n + 1
            out[n] = s.told
        end
    end
end
return out
