-- Claims: what is known about the item's record, what stands in its way, and the taking of the right to deliver it.

local NOBODY = string.rep('\0', 16)
local WANTED = string.rep('\255', 20) -- in place of KEPT: another waits for it, so it is not to be kept again
local TAIL = '>I4I8I4I6' -- of an entry, from byte 42: tier, copy's offset, hop, time of expiry
local rank -- 20 bytes: source, offset

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
        return codes.GO
    end
    local block, newer = epoch_block()
    if block == cur then
        return block_verdict(cur, Sh, Sl)
    end
    if newer > 0 then
        return codes.GO
    end
    return block and block_verdict(block, Sh, Sl) == codes.DUP and codes.DUP or codes.STALE
end

local function version_verdict()
    if s.block ~= VERSION_BLOCK then
        return codes.GO
    end
    if s.has_floor and diff(Sh, Sl, s.Fh, s.Fl) <= 0 then
        return codes.INDETERMINATE
    end
    if s.has_H then
        local d = diff(Sh, Sl, s.Hh, s.Hl)
        if d < 0 then
            return codes.OUTDATED
        end
        if d == 0 and s.H_rank == rank then
            return codes.DUP
        end
    end
    return codes.GO
end

local function event_verdict()
    local v = call('GET', id_key)
    if v == 'D' then
        return codes.DUP
    end
    if v and source == SOURCE then
        local other = sub(v, 2)
        if parked_find(parked_key, other, (unpack('>I8', other, 13))) then
            return codes.DUP_PARKED
        end
    end
    return codes.GO
end

local function redrive_verdict()
    if call('EXISTS', redrive_key) == 1 then
        return codes.DUP
    end
    local match = (kind == SEQUENCE and scope.ordered and s.block == SEQUENCE_BLOCK)
        or (kind == VERSION and s.block == VERSION_BLOCK)
    if match and s.has_D and band(flags, FORCE) == 0 then
        local d = diff(Eh, El, s.Deh, s.Del)
        if d < 0 or (d == 0 and diff(Sh, Sl, s.Dh, s.Dl) <= 0) then
            return codes.MOVED_ON
        end
    end
    return codes.GO
end

-- What is known about a record that has no entry in the parked list, and whether its rank (not its identity) says so.
local function verdict_of()
    if source == REDRIVE then
        return redrive_verdict()
    end
    if s.tombs and tombstone_find(parked_key, rank) then
        return codes.DUP, true
    end
    if source == SOURCE and scope.ordered and kind ~= NONE and marks_prove(src, off, le) then
        return codes.DUP, true
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
    return codes.GO
end

-- Of a source record whose number is known, where it stands beyond all that is known of its source: it was not read again, so its
-- number was used again. How many numbers there are from it to the last; nil where nothing of this can be said.
local function used_again()
    if kind ~= SEQUENCE or source ~= SOURCE or not scope.ordered or marks_get() == '' then
        return nil
    end
    local list = marks_unpack()
    for i = 1, #list do
        if list[i].src == src and off <= list[i].off then
            return nil
        end
    end
    local block = epoch_block()
    local behind = diff(block.Lh, block.Ll, Sh, Sl) + 1
    return behind > 0 and math.min(behind, T32 - 1) or nil
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

-- Its taker gave up the partition in order, and delivers nothing unasked any more. Of that token only: an older one may be a zombie's.
local function is_released(id)
    local token = tonumber(call('HGET', owner.fence, '~' .. sub(id, 1, 8)) or -1)
    return unpack('>I8', id, 9) == token
end

-- A kept claim that does not stand in the item's way: its own owner's, or of one that is released.
local function is_void(all, p)
    local who, taker = sub(all, p, p + 19), sub(all, p + 20, p + 35)
    return (who == KEPT or who == WANTED) and (taker == owner.id or is_released(taker))
end

-- The milliseconds for which another claim stands in the way, or nil; s.claims loses those that lapsed and the item's own. Kept
-- claims in the way are marked as wanted: the second answer is true then, and s.claims is to be written.
local function conflict(id)
    local all, live, noted, busy = claims_get(), '', '', nil
    local tag = not scope.ordered and kind <= EVENT_ID and sub(item, 30, 46)
    for p = 1, #all, CLAIM_BYTES do
        local deadline = unpack('>I6', all, p + 53)
        local one = sub(all, p, p + CLAIM_BYTES - 1)
        if deadline > now and sub(all, p, p + 35) ~= id and not is_void(all, p) then
            live = live .. one
            if scope.ordered or sub(all, p, p + 19) == rank or (tag and sub(all, p + 36, p + 52) == tag) then
                busy = math.max(busy or 0, deadline - now)
            end
            if sub(one, 1, 20) == KEPT then
                one = WANTED .. sub(one, 21)
            end
        end
        noted = noted .. one
    end
    local wanted = busy and noted ~= all
    if wanted then
        s.claims = noted
    elseif not busy then
        s.claims = live
    end
    return busy, wanted
end

local function grant(code)
    if s.claims ~= '' then
        local busy, wanted = conflict(rank .. owner.id)
        if busy then
            if wanted then
                state_write(parked_key, state_prefix() .. s.claims, scope.ttl)
            end
            return codes.BUSY, busy
        end
    end
    if source ~= REDRIVE then
        open_block()
    end
    local value = state_prefix() .. s.claims .. rank .. owner.id .. sub(item, 30, 46) .. deadline_of(x)
    state_write(parked_key, value, scope.ttl)
    return code
end

-- The own entry of a copy: its time starts anew where less than half of it is left. Returns the verdict, and whether the rank says so.
local function meet_entry(entry)
    if source ~= TIER then
        return codes.DUP_PARKED, true
    end
    if hop < unpack('>I4', entry, 54) then
        return codes.SUPERSEDED, true
    end
    if unpack('>I6', entry, 58) - now < scope.ghost / 2 then
        parked_put(parked_key, off, sub(entry, 1, 57) .. pack('>I6', now + scope.ghost), entry)
    end
    if kind == VERSION then
        local v = version_verdict()
        if v == codes.OUTDATED or v == codes.INDETERMINATE then
            return v
        end
    end
    return codes.GO
end

-- Ordered: what is parked ahead of the item. Returns the code that stops it, or nil.
local function blocked_by_head(code, entry)
    if s.count == 0 or source == REDRIVE or sub(s.head, 1, 20) == rank then
        return nil
    end
    if source == SOURCE then
        if code == codes.STALE then
            return nil
        end
        return s.count >= scope.cap and codes.PARK_FULL or codes.BLOCKED
    end
    if entry or not rank_before(rank, s.head) then
        return codes.NOT_HEAD
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

-- Returns code, would_code, and the ms of BUSY or what used_again says of DUP.
local function claim(v)
    if fenced() then
        s.count = 0
        return codes.FENCED
    end
    state_load(v and widen(v))
    if s.count > 0 and band(flags, HAS_GHOST) ~= 0 then
        expire_head()
    end
    local entry = s.count > 0 and parked_find(parked_key, rank, off)
    if entry and source == REDRIVE and blocks(entry) then
        entry = nil
    end
    local code, would, busy, stop, by_rank
    if entry then
        code, by_rank = meet_entry(entry)
    else
        code, by_rank = verdict_of()
    end
    if code ~= codes.GO then
        stop = code ~= codes.INDETERMINATE and code ~= codes.STALE
        if band(flags, OBSERVE) ~= 0 and not by_rank then
            would, code, stop = code, codes.GO, false
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
        state_save(parked_key, scope.ttl)
    end
    if code == codes.DUP and not by_rank then
        busy = used_again()
    end
    return code, would, busy
end
