-- Finishes: what became of the item's record. Facts are joined, in whichever order and however often they come.

local BLOCKING = 6 -- a verb, here since only so many locals of the file can be captured

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

local function note_done()
    join(true)
    if verb == SUCCEEDED then
        raise_succeeded()
    end
    if kind == EVENT_ID then
        call('SET', id_key, 'D', 'PX', scope.life)
    end
    if source == REDRIVE then
        call('SET', redrive_key, 'D', 'PX', scope.life)
    end
end

local function finish_done()
    local entry = parked_find(parked_key, rank, off)
    if entry then
        parked_remove(parked_key, entry)
    end
    note_done()
    -- Its tier copy may still come, however far the identity's marks have moved on by then.
    if source ~= REDRIVE and (entry or source == TIER) then
        tombstone_put(parked_key, off, rank, scope.cap + 64)
    end
end

-- Dead-lettered, and its key waits: an entry stays at its place in the parked list until the record succeeds after all (a redrive)
-- or a person releases it. Once only: its tombstone says that it did.
local function finish_blocking()
    local entry = parked_find(parked_key, rank, off)
    if entry and not blocks(entry) or not entry and not (s.tombs and tombstone_find(parked_key, rank)) then
        local copy = unpack('>I8', item, 55)
        parked_put(parked_key, off, sub(item, 6, 46) .. pack(TAIL, x, copy, NO_HOP, FOREVER), entry)
    end
    note_done()
    tombstone_put(parked_key, off, rank, scope.cap + 64)
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
        return block and block_verdict(block, Sh, Sl) == codes.DUP
    elseif kind == VERSION then
        local v = version_verdict()
        return v == codes.OUTDATED or v == codes.DUP
    elseif kind == EVENT_ID then
        return call('GET', id_key) == 'D'
    end
    return kind == OFFSET and s.block == RANGES_BLOCK and not scope.ordered and ranges_verdict(s, off, le) == codes.DUP
end

-- Returns DONE or REFUSED where nothing is parked.
local function finish_parked()
    local entry = parked_find(parked_key, rank, off)
    if entry and blocks(entry) then
        return codes.DONE
    end
    local copy = unpack('>I8', item, 55)
    local fresh = sub(item, 6, 46) .. pack(TAIL, x, copy, hop, now + scope.ghost)
    if entry and hop < unpack('>I4', entry, 54) then
        fresh = sub(entry, 1, 57) .. sub(fresh, 58)
    elseif not entry then
        if known_done() then
            return codes.DONE
        elseif s.count >= scope.cap + 64 then
            return codes.REFUSED
        end
        join(false)
    end
    parked_put(parked_key, off, fresh, entry)
    if kind == EVENT_ID then
        call('SET', id_key, 'P' .. rank, 'PX', scope.life)
    end
    return nil
end

-- The place of the item's own claim among all, or nil; and whether somebody waits for it.
local function own_claim(all)
    for p = 1, #all, CLAIM_BYTES do
        if sub(all, p + 20, p + 35) == owner.id then
            local who = sub(all, p, p + 19)
            if who == rank or (source == SOURCE and (who == KEPT or who == WANTED)) then
                return p, who == WANTED
            end
        end
    end
    return nil, false
end

-- Returns the claims without the item's own, whether it was there, and whether somebody waits for it. One that is to be kept
-- becomes nobody's: it stands in everybody's way until it lapses, its taker's too, for the request may still be running.
local function other_claims()
    if s.claims == '' then
        return '', false, false
    elseif s.claims_at + CLAIM_BYTES > #s.v and KEEP_CLAIM > flags then
        local crank, cowner = unpack('c20c16', s.v, s.claims_at)
        if crank == rank and cowner == owner.id then
            return '', true, false
        end
    end
    local all = claims_get()
    local p, wanted = own_claim(all)
    if not p then
        return all, false, false
    end
    local kept = ''
    if band(flags, KEEP_CLAIM) ~= 0 then
        kept = rank .. NOBODY .. sub(all, p + 36, p + CLAIM_BYTES - 1)
    end
    return sub(all, 1, p - 1) .. kept .. sub(all, p + CLAIM_BYTES), true, wanted
end

-- After the plain next record of a key the claim stays with its taker, for the successor; not where a newer owner of the partition
-- may be about.
local function keep_for_successor()
    local plain = state_prefix()
    if
        #plain == PLAIN_LEN
        and (sub(plain, 1, 3) == '\1\1\130' or sub(plain, 1, 3) == '\1\17\130')
        and sub(plain, 20, 28) == sub(item, 39, 46) .. '\1'
        and sub(plain, 4, 11) == sub(item, 31, 38)
        and sub(plain, 29) == sub(item, 6, 29)
        and is_newest()
    then
        s.claims = KEPT .. owner.id .. NO_IDENTITY .. deadline_of(x)
    end
end

local function finish(v)
    state_load(v and widen(v))
    local claims, mine, wanted = other_claims()
    local code = mine and codes.OK or codes.LOST
    if verb == RELEASE then
        if mine then
            s.claims = claims
            state_save(parked_key, scope.ttl)
        end
        return code
    end
    if verb == PARKED then
        code = finish_parked() or code
    elseif verb == BLOCKING and scope.ordered then
        finish_blocking()
    else
        finish_done()
    end
    if scope.ordered and source == SOURCE and code ~= codes.REFUSED then
        marks_raise(src, off, le, sub(item, 6, 29))
    end
    if code ~= codes.REFUSED or mine then
        s.claims = claims
        if verb == SUCCEEDED and x > 0 and kind == SEQUENCE and source == SOURCE and scope.ordered and mine and not wanted and claims == '' then
            keep_for_successor()
        end
        state_save(parked_key, scope.ttl)
    end
    return code
end
