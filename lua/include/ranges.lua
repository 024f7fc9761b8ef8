-- The block of an unordered `offset` identity, per source partition: a floor and disjoint sorted ranges of offsets that
-- were seen, flat in r: first, last, leader epoch, first, ... Offsets are sparse (markers, compaction), so there is no
-- contiguous mark; below the floor nothing is known.
local RANGES_MAX = 64

local function ranges_verdict(b, off, le)
    if off < b.floor then
        return codes.INDETERMINATE
    end
    local r = b.r
    for i = 1, #r, 3 do
        if off <= r[i + 1] then
            return off >= r[i] and le <= r[i + 2] and codes.DUP or codes.GO
        end
    end
    return codes.GO
end

local function ranges_trim(b)
    local r = b.r
    while #r > RANGES_MAX * 3 do
        b.floor = r[2] + 1
        table.remove(r, 1)
        table.remove(r, 1)
        table.remove(r, 1)
    end
end

local function ranges_join(b, off, le)
    if off < b.floor then
        return
    end
    local out, placed = {}, false
    local function add(first, last, epoch)
        local n = #out
        if n > 0 and out[n] == epoch and out[n - 1] + 1 == first then
            out[n - 1] = last
        else
            out[n + 1], out[n + 2], out[n + 3] = first, last, epoch
        end
    end
    for i = 1, #b.r, 3 do
        local first, last, epoch = b.r[i], b.r[i + 1], b.r[i + 2]
        if epoch >= le and first <= off and off <= last then
            return
        end
        -- An older leader epoch at or beyond `off`: the log was cut there, those records are gone.
        if epoch < le and last >= off then
            last = off - 1
        end
        if first <= last then
            if not placed and first > off then
                add(off, off, le)
                placed = true
            end
            add(first, last, epoch)
        end
    end
    if not placed then
        add(off, off, le)
    end
    b.r = out
    ranges_trim(b)
end

-- off went away unfinished: it is not seen any more.
local function ranges_cut(b, off)
    local r = b.r
    for i = 1, #r, 3 do
        local first, last, epoch = r[i], r[i + 1], r[i + 2]
        if first <= off and off <= last then
            for _ = 1, 3 do
                table.remove(r, i)
            end
            if off < last then
                table.insert(r, i, epoch)
                table.insert(r, i, last)
                table.insert(r, i, off + 1)
            end
            if first < off then
                table.insert(r, i, epoch)
                table.insert(r, i, off - 1)
                table.insert(r, i, first)
            end
            ranges_trim(b)
            return
        end
    end
end
