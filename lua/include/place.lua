-- Where the state of the key at hand stands. In an ordered scope of sequences it is a field of a bucket, a hash that some dozens of
-- keys share: a state in order is told in a few bytes there (small.lua), and one that is larger than a packed hash takes stands
-- apart, as a string of its own, as all states of other scopes do. docs/ledger.md has the layouts.
--
-- What a field holds ends with a time, 6 bytes: the deadline of its claim, or when it was written. It counts for nothing when that
-- is longer ago than the scope's ttl. The bucket itself expires when nothing in it was written for that long; until then, what is
-- too old is removed when its expiry is renewed.

-- How it begins, and how long it is then; a table, since a function can capture 60 locals only.
local AS = { FREE = 16, CLAIMED = 17, KEEPING = 18, NEW = 19, WHOLE = 20, APART = 21 }
AS.LEN = { FREE = 42, CLAIMED = 62, KEEPING = 56, NEW = 49, APART = 7 }
local SLACK = 16 -- a bucket's expiry is renewed when it is less than the ttl and a sixteenth away (swap.c has the same number)
local SWEPT = 256 -- fields looked at, at most, when that is done

-- Of the key at hand: its bucket, its field there ('': there is no bucket), the key of a state that stands apart, what stands in the
-- bucket, or false, and its time.
local place = { bucket = nil, field = '', key = nil, stood = false, time = 0 }

-- A whole number in decimal. %d takes half a microsecond less, and is 32 bits wide where the server is.
local WHOLE = format('%d', 2 ^ 52) == '4503599627370496' and '%d' or '%.0f'

local function decimal(n)
    return format(WHOLE, n)
end

local function read_time(v)
    return unpack('>I6', v, #v - 5)
end

-- What stands there, as it stands there; false for nothing. May raise an error where it is of another type.
local function place_find()
    if place.field == '' then
        return call('GET', place.key)
    end
    local v = call('HGET', place.bucket, place.field)
    place.stood = v
    place.time = v and #v >= AS.LEN.APART and read_time(v) or 0
    if v and #v == AS.LEN.APART and byte(v) == AS.APART then
        return call('GET', place.key)
    end
    return v
end

-- The bucket lives for the ttl from now, and a sixteenth longer: whoever asked for this need not for so long.
local function place_renew(ttl)
    local slack = math.floor(ttl / SLACK)
    local left = call('PTTL', place.bucket)
    if left >= ttl + slack then
        return
    end
    call('PEXPIRE', place.bucket, decimal(ttl + 2 * slack))
    if left < 0 then
        return -- it is new
    end
    local some = call('HRANDFIELD', place.bucket, SWEPT, 'WITHVALUES')
    for i = 1, #some, 2 do
        local v = some[i + 1]
        if #v >= AS.LEN.APART and read_time(v) + ttl < now then
            call('HDEL', place.bucket, some[i])
        end
    end
end

-- v ends with its time.
local function place_store(v, ttl)
    call('HSET', place.bucket, place.field, v)
    place_renew(ttl)
end
