#!lua
-- Applies a batch of claims and finishes, item by item in the order given; one broken state spoils its own item only.
-- Idempotent for the same items: an unknown outcome is sent again.
--
-- KEYS    F fence hashes  <ns>:{fence}:<group>
--         then for each item its state <ns>:{shard}:k:..., its parked list <ns>:{shard}:p:..., for an event-id its id key
--         <ns>:{shard}:i:..., for a redriven record its redrive key <ns>:{shard}:r:...
-- ARGV    1 header, then scope lines, owner lines and items, all packed: docs/ledger.md has the layout
-- RETURNS integers: for each item its answer, followed by the milliseconds of BUSY or by the head's tier and offset
-- COST    one GET and at most one SET an item; where records of the key are parked some O(log n) more
-- CALLER  src/ledger/batch.c
local call, redis_pcall, type = redis.call, redis.pcall, type
local pack, unpack = struct.pack, struct.unpack
local byte, sub, char, format = string.byte, string.sub, string.char, string.format
local band, bor, lshift, rshift = bit.band, bit.bor, bit.lshift, bit.rshift
--@include codes
--@include numbers
--@include sequence
--@include ranges
--@include state
--@include marks
--@include parked

local CLAIM, SUCCEEDED, PARKED, RELEASE = 1, 2, 4, 5
local SOURCE, TIER, REDRIVE = 0, 1, 2
local SEQUENCE, VERSION, EVENT_ID, OFFSET, NONE = 0, 1, 2, 3, 4
local OBSERVE, HAS_GHOST, FORCE, KEEP_CLAIM = 1, 2, 4, 8
local WIRE_VERSION = 1
local NOBODY = string.rep('\0', 16)
local TAIL = '>I4I8I4I6' -- of an entry, from byte 42: tier, copy's offset, hop, time of expiry

-- The item at hand.
local item, verb, flags, source, src, off, le, kind, Eh, El, Sh, Sl, hop, x
local rank, scope, owner, state_key, parked_key, id_key, redrive_key
local now
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

-- The block of the item's epoch: the current one, the previous one or none. And how the epoch compares (> 0: newer).
local function epoch_block()
    local d = diff(Eh, El, cur.Eh, cur.El)
    if d == 0 then
        return cur, 0
    end
    if d < 0 and s.has_prev and El == prev.El and Eh == prev.Eh then
        return prev, d
    end
    return nil, d
end

local function sequence_verdict()
    if s.block ~= SEQUENCE_BLOCK then
        return GO
    end
    local block, newer = epoch_block()
    if block == cur then
        return block_verdict(cur, Sh, Sl)
    end
    if newer > 0 then
        return GO
    end
    return block and block_verdict(block, Sh, Sl) == DUP and DUP or STALE
end

local function version_verdict()
    if s.block ~= VERSION_BLOCK then
        return GO
    end
    if s.has_floor and diff(Sh, Sl, s.Fh, s.Fl) <= 0 then
        return INDETERMINATE
    end
    if s.has_H then
        local d = diff(Sh, Sl, s.Hh, s.Hl)
        if d < 0 then
            return OUTDATED
        end
        if d == 0 and s.H_rank == rank then
            return DUP
        end
    end
    return GO
end

local function event_verdict()
    local v = call('GET', id_key)
    if v == 'D' then
        return DUP
    end
    if v and source == SOURCE then
        local other = sub(v, 2)
        if parked_find(parked_key, other, (unpack('>I8', other, 13))) then
            return DUP_PARKED
        end
    end
    return GO
end

local function redrive_verdict()
    if call('EXISTS', redrive_key) == 1 then
        return DUP
    end
    local match = (kind == SEQUENCE and scope.ordered and s.block == SEQUENCE_BLOCK)
        or (kind == VERSION and s.block == VERSION_BLOCK)
    if match and s.has_D and band(flags, FORCE) == 0 then
        local d = diff(Eh, El, s.Deh, s.Del)
        if d < 0 or (d == 0 and diff(Sh, Sl, s.Dh, s.Dl) <= 0) then
            return MOVED_ON
        end
    end
    return GO
end

-- What is known about a record that has no entry in the parked list, and whether its rank (not its identity) says so.
local function verdict_of()
    if source == REDRIVE then
        return redrive_verdict()
    end
    if s.tombs and tombstone_find(parked_key, rank) then
        return DUP, true
    end
    if source == SOURCE and scope.ordered and kind ~= NONE and marks_prove(src, off, le) then
        return DUP, true
    end
    if kind == SEQUENCE then
        return sequence_verdict()
    elseif kind == VERSION then
        return version_verdict()
    elseif kind == EVENT_ID then
        return event_verdict()
    elseif kind == OFFSET and not scope.ordered and s.block == RANGES_BLOCK then
        return ranges_verdict(s, off, le)
    end
    return GO
end

-- The head's copy is gone, and nobody finished it: its number may not be called seen any more.
local function remove_ghost()
    local entry = s.head
    local esrc, eoff, _, ekind, eEh, eEl, eSh, eSl = unpack('>c12I8I4BI4I4I4I4', entry)
    if ekind == SEQUENCE and s.block == SEQUENCE_BLOCK then
        if eEl == cur.El and eEh == cur.Eh then
            block_raise_floor(cur, eSh, eSl)
        elseif s.has_prev and eEl == prev.El and eEh == prev.Eh then
            block_raise_floor(prev, eSh, eSl)
        end
    elseif ekind == VERSION and s.block == VERSION_BLOCK then
        if not s.has_floor or diff(eSh, eSl, s.Fh, s.Fl) > 0 then
            s.has_floor, s.Fh, s.Fl = true, eSh, eSl
        end
    elseif ekind == OFFSET and s.block == RANGES_BLOCK then
        ranges_cut(s, eoff)
    end
    marks_lower(esrc, eoff)
    parked_remove(parked_key, entry)
end

local function drop_block()
    s.has_prev, s.has_D, s.has_floor, s.has_H = false, false, false, false
    s.dirty = true
end

-- Makes sure that the state has a block for the item's epoch or offset, as unseen.
local function open_block()
    if kind == SEQUENCE then
        if s.block ~= SEQUENCE_BLOCK then
            drop_block()
            s.block = SEQUENCE_BLOCK
            block_start(cur, Eh, El, Sh, Sl)
        elseif diff(Eh, El, cur.Eh, cur.El) > 0 then
            cur, prev = prev, cur
            s.has_prev, s.dirty = true, true
            block_start(cur, Eh, El, Sh, Sl)
        end
    elseif kind == OFFSET and not scope.ordered and s.block ~= RANGES_BLOCK then
        drop_block()
        s.block, s.floor, s.r = RANGES_BLOCK, off, {}
    end
end

-- The milliseconds for which another claim stands in the way, or nil; s.claims loses those that lapsed and the item's own.
local function conflict(id)
    local all, live, busy = claims_get(), '', nil
    local tag = not scope.ordered and kind <= EVENT_ID and sub(item, 30, 46)
    for p = 1, #all, CLAIM_BYTES do
        local deadline = unpack('>I6', all, p + 53)
        if deadline > now and sub(all, p, p + 35) ~= id then
            live = live .. sub(all, p, p + CLAIM_BYTES - 1)
            if scope.ordered or sub(all, p, p + 19) == rank or (tag and sub(all, p + 36, p + 52) == tag) then
                busy = math.max(busy or 0, deadline - now)
            end
        end
    end
    if not busy then
        s.claims = live
    end
    return busy
end

local function grant(code)
    if s.claims ~= '' then
        local busy = conflict(rank .. owner.id)
        if busy then
            return BUSY, busy
        end
    end
    if source ~= REDRIVE then
        open_block()
    end
    local value = state_prefix() .. s.claims .. rank .. owner.id .. sub(item, 30, 46) .. deadline_of(x)
    state_write(state_key, parked_key, value, scope.ttl)
    return code
end

-- The own entry of a copy: its time starts anew. Returns the verdict, and whether the rank says so.
local function meet_entry(entry)
    if source ~= TIER then
        return DUP_PARKED, true
    end
    if hop < unpack('>I4', entry, 54) then
        return SUPERSEDED, true
    end
    parked_put(parked_key, off, sub(entry, 1, 57) .. pack('>I6', now + scope.ghost), entry)
    if kind == VERSION then
        local v = version_verdict()
        if v == OUTDATED or v == INDETERMINATE then
            return v
        end
    end
    return GO
end

-- Ordered: what is parked ahead of the item. Returns the code that stops it, or nil.
local function blocked_by_head(code, entry)
    if s.count == 0 or source == REDRIVE or sub(s.head, 1, 20) == rank then
        return nil
    end
    if source == SOURCE then
        if code == STALE then
            return nil
        end
        return s.count >= scope.cap and PARK_FULL or BLOCKED
    end
    if entry or not rank_before(rank, s.head) then
        return NOT_HEAD
    end
    return nil
end

local function expire_head()
    local gtier, goff = unpack('>I4I8', item, 55)
    local tier, copy, _, expires = unpack(TAIL, s.head, 42)
    if tier == gtier and copy == goff and expires <= now then
        remove_ghost()
    end
end

-- Returns code, would_code, busy ms.
local function claim(v)
    if fenced() then
        s.count = 0
        return FENCED
    end
    state_load(v)
    if s.count > 0 and band(flags, HAS_GHOST) ~= 0 then
        expire_head()
    end
    local entry = s.count > 0 and parked_find(parked_key, rank, off)
    local code, would, busy, stop, by_rank
    if entry then
        code, by_rank = meet_entry(entry)
    else
        code, by_rank = verdict_of()
    end
    if code ~= GO then
        stop = code ~= INDETERMINATE and code ~= STALE
        if band(flags, OBSERVE) ~= 0 and not by_rank then
            would, code, stop = code, GO, false
        end
    end
    if not stop and scope.ordered then
        stop = blocked_by_head(code, entry)
        code = stop or code
    end
    if not stop then
        code, busy = grant(code)
        stop = busy
    end
    if stop and s.dirty then
        state_save(state_key, parked_key, scope.ttl)
    end
    return code, would, busy
end

-- Joins: the facts are kept by maximum, in whichever order and however often they come.
local function join(done)
    open_block()
    if kind == SEQUENCE then
        local block = epoch_block()
        if block then
            block_join(block, Sh, Sl)
        end
    elseif kind == VERSION then
        if done then
            if s.block ~= VERSION_BLOCK then
                drop_block()
                s.block = VERSION_BLOCK
            end
            if not s.has_H or diff(Sh, Sl, s.Hh, s.Hl) >= 0 then
                s.has_H, s.Hh, s.Hl, s.H_rank = true, Sh, Sl, rank
            end
        end
    elseif kind == OFFSET and not scope.ordered then
        ranges_join(s, off, le)
    end
    s.dirty = true
end

local function raise_succeeded()
    if kind ~= SEQUENCE and kind ~= VERSION then
        return
    end
    local d = s.has_D and diff(Eh, El, s.Deh, s.Del)
    if not d or d > 0 or (d == 0 and diff(Sh, Sl, s.Dh, s.Dl) > 0) then
        s.has_D, s.Deh, s.Del, s.Dh, s.Dl = true, Eh, El, Sh, Sl
    end
end

local function finish_done()
    local entry = parked_find(parked_key, rank, off)
    if entry then
        parked_remove(parked_key, entry)
    end
    join(true)
    if verb == SUCCEEDED then
        raise_succeeded()
    end
    if kind == EVENT_ID then
        call('SET', id_key, 'D', 'PX', scope.ttl)
    end
    if source == REDRIVE then
        call('SET', redrive_key, 'D', 'PX', scope.ttl)
    end
    -- Its tier copy may still come, however far the identity's marks have moved on by then.
    if source ~= REDRIVE and (entry or source == TIER) then
        tombstone_put(parked_key, off, rank, scope.cap + 64)
    end
end

local function known_done()
    if s.tombs and tombstone_find(parked_key, rank) then
        return true
    elseif source == SOURCE and scope.ordered and marks_prove(src, off, le) then
        return true -- a late one: whoever raised the mark has dealt with this record
    elseif band(flags, OBSERVE) ~= 0 then
        return false
    elseif kind == SEQUENCE then
        local block = s.block == SEQUENCE_BLOCK and epoch_block()
        return block and block_verdict(block, Sh, Sl) == DUP
    elseif kind == VERSION then
        local v = version_verdict()
        return v == OUTDATED or v == DUP
    elseif kind == EVENT_ID then
        return call('GET', id_key) == 'D'
    end
    return kind == OFFSET and s.block == RANGES_BLOCK and not scope.ordered and ranges_verdict(s, off, le) == DUP
end

-- Returns DONE or REFUSED where nothing is parked.
local function finish_parked()
    local entry = parked_find(parked_key, rank, off)
    local copy = unpack('>I8', item, 55)
    local fresh = sub(item, 6, 46) .. pack(TAIL, x, copy, hop, now + scope.ghost)
    if entry and hop < unpack('>I4', entry, 54) then
        fresh = sub(entry, 1, 57) .. sub(fresh, 58)
    elseif not entry then
        if known_done() then
            return DONE
        elseif s.count >= scope.cap + 64 then
            return REFUSED
        end
        join(false)
    end
    parked_put(parked_key, off, fresh, entry)
    if kind == EVENT_ID then
        call('SET', id_key, 'P' .. rank, 'PX', scope.ttl)
    end
    return nil
end

-- Returns the claims without the item's own, and whether it was there. One that is to be kept becomes nobody's: it stands in
-- everybody's way until it lapses, its taker's too, for the request may still be running.
local function other_claims()
    if s.claims == '' then
        return '', false
    elseif s.claims_at + CLAIM_BYTES > #s.v and KEEP_CLAIM > flags then
        local crank, cowner = unpack('c20c16', s.v, s.claims_at)
        if crank == rank and cowner == owner.id then
            return '', true
        end
    end
    local all, id = claims_get(), rank .. owner.id
    for p = 1, #all, CLAIM_BYTES do
        if sub(all, p, p + 35) == id then
            local kept = ''
            if band(flags, KEEP_CLAIM) ~= 0 then
                kept = rank .. NOBODY .. sub(all, p + 36, p + CLAIM_BYTES - 1)
            end
            return sub(all, 1, p - 1) .. kept .. sub(all, p + CLAIM_BYTES), true
        end
    end
    return all, false
end

local function finish(v)
    state_load(v)
    local claims, mine = other_claims()
    local code = mine and OK or LOST
    if verb == RELEASE then
        if mine then
            s.claims = claims
            state_save(state_key, parked_key, scope.ttl)
        end
        return code
    end
    if verb == PARKED then
        code = finish_parked() or code
    else
        finish_done()
    end
    if scope.ordered and source == SOURCE and code ~= REFUSED then
        marks_raise(src, off, le, sub(item, 6, 29))
    end
    if code ~= REFUSED or mine then
        s.claims = claims
        state_save(state_key, parked_key, scope.ttl)
    end
    return code
end

local out, n = {}, 0

local function answer(code, would, busy)
    local a = code + 32 * (would or code) + 1024 * s.count
    local at = n + 1
    n = at
    if busy then
        a = a + 2 ^ 44
        n = n + 1
        out[n] = busy
    elseif s.count > 0 and (verb ~= CLAIM or code == BLOCKED or code == NOT_HEAD or code == PARK_FULL) then
        local tier, copy, _, expires = unpack(TAIL, s.head, 42)
        a = a + 2 ^ 43 + (expires <= now and 2 ^ 42 or 0)
        out[n + 1], out[n + 2] = tier, copy
        n = n + 2
    end
    out[at] = a
end

local function apply(v)
    rank = sub(item, 6, 25)
    if verb == CLAIM then
        answer(claim(v))
    else
        answer(finish(v))
    end
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
    local v = redis_pcall('GET', state_key)
    local len, kept = type(v) == 'string' and #v, n
    if len == STRAIGHT and verb == CLAIM and straight_claim(v) then
        n = n + 1
        out[n] = GO + 32 * GO
    elseif len == STRAIGHT_CLAIMED and verb == SUCCEEDED and straight_finish(v) then
        n = n + 1
        out[n] = OK + 32 * OK
    elseif not pcall(apply, v) then
        n, s.count = kept, 0
        answer(CORRUPT)
    end
end
return out
