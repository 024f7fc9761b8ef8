-- The straight way: the next record of an ordered sequence in its epoch, from its source, with nothing parked and nobody else
-- about; and the first record of a key. That is nearly every record, so it is done on the small bytes as they stand in the bucket
-- (small.lua has the layout). It must do exactly what claim() and finish() do. Where anything is out of the ordinary it does nothing,
-- says false, and they do it; else it returns what stands there now.
local SMALL_HALF, SMALL_OFFSET, SMALL_LEADER, SMALL_ABOVE = 65536, 281474976710656, 16777216, 4294967295

-- Is the token the newest? Only looks, unlike fenced().
local function is_newest()
    return owner.passed or tonumber(call('HGET', owner.fence, owner.name) or -1) == owner.token
end

-- Can what the item leaves be written small?
local function is_small()
    return source == SOURCE
        and kind == SEQUENCE
        and flags == 0
        and Sh < SMALL_HALF
        and Eh < SMALL_HALF
        and off < SMALL_OFFSET
        and sub(item, 14, 15) == '\0\0'
        and owner.short ~= nil
end

-- Is S the number after L, in the same epoch, and its offset beyond the mark of its source? And how far L is above the floor.
local function is_next(v)
    local epoch, last, above, from, moff, mle = unpack('>xI6I6I4c10I6I3', v)
    return Sh * 4294967296 + Sl == last + 1
        and Eh * 4294967296 + El == epoch
        and from == sub(item, 6, 13) .. sub(item, 16, 17)
        and off > moff
        and le == mle,
        above
end

local function straight_claim(v)
    if not is_small() or not is_next(v) or fenced() then
        return false
    end
    local after = char(AS.CLAIMED) .. sub(v, 2, 36) .. sub(item, 20, 25) .. owner.short .. deadline_of(x)
    place_store(after, scope.ttl)
    return after
end

-- Of a key of which nothing is known.
local function straight_new()
    if not is_small() or fenced() then
        return false
    end
    local rank = sub(item, 6, 13) .. sub(item, 16, 17) .. sub(item, 20, 25)
    local after = char(AS.NEW) .. sub(item, 33, 38) .. sub(item, 41, 46) .. rank .. owner.short .. deadline_of(x)
    place_store(after, scope.ttl)
    return after
end

local function straight_finish(v)
    if not is_small() then
        return false
    end
    local above, from
    if byte(v) == AS.NEW then
        above, from = 0, sub(item, 6, 13) .. sub(item, 16, 17)
        if le >= SMALL_LEADER or sub(v, 2, 43) ~= sub(item, 33, 38) .. sub(item, 41, 46) .. from .. sub(item, 20, 25) .. owner.short then
            return false
        end
    else
        local next
        next, above = is_next(v)
        from = sub(v, 18, 27)
        if not next or above == SMALL_ABOVE or sub(v, 37, 56) ~= sub(item, 20, 25) .. owner.short then
            return false
        end
    end
    local after = sub(item, 33, 38) .. sub(item, 41, 46) .. pack('>I4', above + 1) .. from .. sub(item, 20, 25) .. sub(item, 27, 29)
    if x > 0 and is_newest() then
        after = char(AS.KEEPING) .. after .. owner.short .. deadline_of(x)
    else
        after = char(AS.FREE) .. after .. deadline_of(0)
    end
    place_store(after, scope.ttl)
    return after
end
