-- The straight way: the next record of an ordered sequence in its epoch, from its source, with nothing parked and nobody else
-- about. That is nearly every record, so it is done on the packed bytes. It must do exactly what claim() and finish() do; where
-- anything is out of the ordinary it does nothing, says false, and they do it.
--
-- The state then is, by its first three bytes, a sequence with marks whose last number succeeded (D = L), and by its length one
-- mark, of 24 bytes behind its count, and no claim or one: E 4-11, I 12-19, L 20-27, count 28, mark 29-52, claim 53-111.
local STRAIGHT, STRAIGHT_CLAIMED = 52, 111
-- A kept claim has these in place of a rank and an identity: its taker finished, and may deliver the direct successor unasked
-- until the claim lapses.
local NO_IDENTITY = string.rep('\0', 17)
local KEPT = string.rep('\0', 20)

-- Is the token the newest? Only looks, unlike fenced().
local function is_newest()
    return owner.passed or tonumber(call('HGET', owner.fence, owner.name) or -1) == owner.token
end

-- Is S the number after L, in the same epoch, and its offset beyond the mark of its source?
local function is_next(v)
    local version, block, how, eh, el, lh, ll, n, msrc, moff, mle = unpack('>BBBI4I4xxxxxxxxI4I4Bc12I8I4', v)
    return how == 130
        and block == 1
        and version == 1
        and n == 1
        and Sl == ll + 1
        and Sh == lh
        and El == el
        and Eh == eh
        and src == msrc
        and off > moff
        and le == mle
end

local function straight_claim(v)
    if source ~= SOURCE or kind ~= SEQUENCE or flags ~= 0 or not scope.ordered or not is_next(v) or fenced() then
        return false
    end
    call('SET', state_key, v .. sub(item, 6, 25) .. owner.id .. sub(item, 30, 46) .. deadline_of(x), 'PX', scope.ttl)
    return true
end

-- Returns what stands there now.
local function straight_finish(v)
    if source ~= SOURCE or kind ~= SEQUENCE or flags ~= 0 or not scope.ordered or not is_next(v) then
        return false
    end
    local rank, taker = unpack('c20c16', v, STRAIGHT + 1)
    if taker ~= owner.id or rank ~= sub(item, 6, 25) then
        return false
    end
    local after = sub(v, 1, 19) .. sub(item, 39, 46) .. '\1' .. sub(item, 6, 29)
    if x > 0 and is_newest() then
        after = after .. KEPT .. owner.id .. NO_IDENTITY .. deadline_of(x)
    end
    call('SET', state_key, after, 'PX', scope.ttl)
    return after
end
