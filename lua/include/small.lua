-- The states that stand in a bucket, and the same as they are worked with ("whole": state.lua). A sequence in order of which the
-- last number succeeded, with one mark and nothing parked, and the first claim of a key, are written small where their numbers are:
-- epoch, numbers, offsets and token below 2^48, the last number less than 2^32 above the floor, partition below 2^16, leader epoch
-- below 2^24.
--
--   free      16, epoch 6, last 6, last - floor 4, source 8 + 2, offset 6, leader epoch 3; time 6
--   claimed   17, the same; offset 6 and owner 8 + token 6 of the claim for the number after the last, from the same source; time 6
--   keeping   18, the same; owner 8 + token 6 of the claim that is kept for that number; time 6
--   new       19, epoch 6, number 6, source 8 + 2, offset 6, owner 8 + token 6 of the claim; time 6
--   whole     20, the state, 57 bytes at most; time 6
--   apart     21; time 6: the state is a string of its own
local PLAIN_LEN, CLAIM_LEN, NEW_LEN, WHOLE_MAX = 52, 59, 86, 57
local T48 = 2 ^ 48
-- A kept claim has these in place of a rank and an identity: its taker finished, and may deliver the direct successor unasked until
-- the claim lapses.
local NO_IDENTITY = string.rep('\0', 17)
local KEPT = string.rep('\0', 20)

local UNSEEN = string.rep('\255', 8) -- nothing seen yet: -1

local function wide(n)
    return n < 0 and UNSEEN or pack('>I2I6', 0, n)
end

local function widen_claim(source, at, owner, token, E, number, deadline)
    return source .. '\0\0' .. at .. owner .. '\0\0' .. token .. '\0' .. E .. wide(number) .. deadline
end

local function widen_new(v)
    local epoch, number, hash, partition, at, owner, token, deadline = unpack('>xI6I6c8c2c6c8c6c6', v)
    local E, before = wide(epoch), wide(number - 1)
    return (number == 0 and '\1\49\0' or '\1\1\0')
        .. E
        .. before
        .. before
        .. widen_claim(hash .. '\0\0' .. partition, at, owner, token, E, number, deadline)
end

local function widen(v)
    local kind = byte(v)
    if kind == 1 then
        return v -- stands apart, or has no bucket
    elseif kind == AS.WHOLE then
        return sub(v, 2, -7)
    elseif kind == AS.NEW and #v == AS.LEN.NEW then
        return widen_new(v)
    end
    local epoch, last, above, hash, partition, offset, leader = unpack('>xI6I6I4c8c2c6c3', v)
    local source, E, floor = hash .. '\0\0' .. partition, wide(epoch), last - above
    local plain = (floor < 0 and '\1\17\130' or '\1\1\130') .. E .. wide(floor) .. wide(last) .. '\1' .. source .. '\0\0' .. offset .. '\0' .. leader
    if kind == AS.FREE and #v == AS.LEN.FREE then
        return plain
    elseif kind == AS.CLAIMED and #v == AS.LEN.CLAIMED then
        local at, owner, token, deadline = unpack('>c6c8c6c6', v, 37)
        return plain .. widen_claim(source, at, owner, token, E, last + 1, deadline)
    elseif kind == AS.KEEPING and #v == AS.LEN.KEEPING then
        local owner, token, deadline = unpack('>c8c6c6', v, 37)
        return plain .. KEPT .. owner .. '\0\0' .. token .. NO_IDENTITY .. deadline
    end
    error('place')
end

-- The parts of a claim that are written small, its source, and whether it is one for that number; nil where it cannot be written so.
local function narrow_claim(claim, E, number)
    local source, at2, at, owner, t2, token, identity, deadline = unpack('>c12c2c6c8c2c6c17c6', claim)
    if t2 ~= '\0\0' or at2 ~= '\0\0' then
        return nil
    end
    return at, owner .. token .. deadline, source, number < T48 and identity == '\0\0\0' .. E .. wide(number), identity
end

local function narrow_new(v)
    local block, e2, E, f8, l8 = unpack('>xBxc2c6c8c8', v)
    local l2, last = unpack('>I2I6', l8)
    if f8 ~= l8 or e2 ~= '\0\0' then
        return nil
    elseif block == 49 and l8 == UNSEEN then
        last = -1
    elseif block ~= 1 or l2 ~= 0 then
        return nil
    end
    local at, tail, source, fits = narrow_claim(sub(v, 28), E, last + 1)
    if not fits or sub(source, 9, 10) ~= '\0\0' then
        return nil
    end
    return char(AS.NEW) .. E .. pack('>I6', last + 1) .. sub(source, 1, 8) .. sub(source, 11) .. at .. tail
end

-- Without its time where it is free; nil where it cannot be written small.
local function narrow(v)
    local version, block, flags = byte(v, 1, 3)
    if #v == NEW_LEN and version == 1 and flags == 0 then
        return narrow_new(v)
    end
    if (#v ~= PLAIN_LEN and #v ~= PLAIN_LEN + CLAIM_LEN) or version ~= 1 or flags ~= 130 or byte(v, 28) ~= 1 then
        return nil
    end
    local e2, E, f2, floor, l2, L, hash, p2, partition, o2, offset, le1, leader = unpack('>I2c6I2I6I2I6xc8c2c2I2c6Bc3', v, 4)
    if block == 17 and sub(v, 12, 19) == UNSEEN then
        f2, floor = 0, -1
    elseif block ~= 1 then
        return nil
    end
    if e2 + f2 + l2 + o2 + le1 > 0 or p2 ~= '\0\0' or L - floor >= T32 or L < floor then
        return nil
    end
    local plain = E .. pack('>I6I4', L, L - floor) .. hash .. partition .. offset .. leader
    if #v == PLAIN_LEN then
        return char(AS.FREE) .. plain
    end
    local at, tail, source, fits, identity = narrow_claim(sub(v, PLAIN_LEN + 1), E, L + 1)
    if fits and source == hash .. p2 .. partition then
        return char(AS.CLAIMED) .. plain .. at .. tail
    elseif at and source .. '\0\0' .. at == KEPT and identity == NO_IDENTITY then
        return char(AS.KEEPING) .. plain .. tail
    end
    return nil
end

-- Writes the whole state, and returns what stands there now.
local function place_put(v, ttl)
    if place.field == '' then
        call('SET', place.key, v, 'PX', decimal(ttl))
        return v
    end
    local small = narrow(v)
    if small and #v == PLAIN_LEN then
        small = small .. pack('>I6', now)
    elseif not small and #v <= WHOLE_MAX then
        small = char(AS.WHOLE) .. v .. pack('>I6', now)
    end
    if not small then
        call('SET', place.key, v, 'PX', decimal(ttl))
        place_store(char(AS.APART) .. pack('>I6', now), ttl)
        return v
    end
    if place.stood and byte(place.stood) == AS.APART then
        call('DEL', place.key)
    end
    place_store(small, ttl)
    return small
end

local function place_drop()
    if place.field == '' then
        call('DEL', place.key)
    elseif place.stood then
        call('HDEL', place.bucket, place.field)
        if byte(place.stood) == AS.APART then
            call('DEL', place.key)
        end
    end
end
