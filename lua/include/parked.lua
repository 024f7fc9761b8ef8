-- The parked list of a key: a sorted set of packed entries, score = origin offset, so that it is in the order of ranks
-- (offset, then the bytes of topic hash and partition); and, beyond 2^52, the tombstones of records that are done and whose
-- copies may still come: "T" and the rank. The state keeps the count of entries and a copy of the first.
-- A dead letter that blocks its key has an entry too, of which no copy is: its hop is NO_HOP, and it does not expire.
local NO_HOP, FOREVER = 2 ^ 32 - 1, 2 ^ 48 - 1
local ENTRIES_END = '(4503599627370496'

local function parked_find(parked_key, rank, off)
    if s.count == 0 then
        return nil
    end
    if sub(s.head, 1, 20) == rank then
        return s.head
    end
    local found = call('ZRANGEBYSCORE', parked_key, decimal(off), decimal(off))
    for i = 1, #found do
        if sub(found[i], 1, 20) == rank then
            return found[i]
        end
    end
    return nil
end

local function blocks(entry)
    return sub(entry, 54, 57) == '\255\255\255\255'
end

local function parked_reload(parked_key)
    local first = call('ZRANGEBYSCORE', parked_key, '-inf', ENTRIES_END, 'LIMIT', 0, 1)[1]
    s.count = call('ZCOUNT', parked_key, '-inf', ENTRIES_END)
    s.head = first or false
    s.dirty = true
    if first and #first ~= ENTRY_BYTES then
        error('entry')
    end
end

-- What stands under the name of a list that the state does not know of is a leftover.
local function parked_clear_leftovers(parked_key)
    if not s.listed then
        call('DEL', parked_key)
        s.listed = true
    end
end

-- Most keys with something parked have one record there: then head and count are known without a look at the list.
local function parked_put(parked_key, off, entry, old)
    parked_clear_leftovers(parked_key)
    local first = s.count == 0
    if old then
        first = call('ZREM', parked_key, old) == 1 and s.count == 1
    end
    call('ZADD', parked_key, decimal(off), entry)
    if first then
        s.head, s.count, s.dirty = entry, 1, true
    else
        parked_reload(parked_key)
    end
end

local function parked_remove(parked_key, entry)
    if call('ZREM', parked_key, entry) == 1 and s.count == 1 then
        s.head, s.count, s.dirty = false, 0, true
    else
        parked_reload(parked_key)
    end
end

local function tombstone_find(parked_key, rank)
    return s.tombs and call('ZSCORE', parked_key, 'T' .. rank) and true or false
end

local function tombstone_put(parked_key, off, rank, keep)
    parked_clear_leftovers(parked_key)
    call('ZADD', parked_key, decimal(off + T52), 'T' .. rank)
    local n = call('ZCARD', parked_key) - s.count
    if n > keep then
        call('ZREMRANGEBYRANK', parked_key, s.count, s.count + n - keep - 1)
    end
    s.tombs, s.dirty = true, true
end

-- Is rank a before rank b? Bytes are compared one by one, as the sorted set does.
local function rank_before(a, b)
    local aoff, boff = unpack('>I8', a, 13), unpack('>I8', b, 13)
    if aoff ~= boff then
        return aoff < boff
    end
    for i = 1, 12 do
        local x, y = byte(a, i), byte(b, i)
        if x ~= y then
            return x < y
        end
    end
    return false
end
