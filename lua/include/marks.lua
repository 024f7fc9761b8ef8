-- Source marks: how far the records of a key are finished, per source partition (12 bytes: topic hash, partition), the most
-- recently raised first. Packed: count (+ 128: with floors), then each: source, offset, leader epoch + 1 [, floor + 1].
-- A mark proves a source record done that lies above the floor and not beyond the mark, of no newer leader epoch.
local MARKS_MAX = 8

local function marks_unpack()
    local marks = marks_get()
    local list, n = {}, byte(marks) or 0
    local pos, floors = 2, n >= 128
    for i = 1, floors and n - 128 or n do
        local m = { floor = 0 }
        m.src, m.off, m.le, pos = unpack('>c12I8I4', marks, pos)
        if floors then
            m.floor, pos = unpack('>I8', marks, pos)
        end
        list[i] = m
    end
    return list
end

local function marks_pack(list)
    local floors = false
    for i = 1, #list do
        floors = floors or list[i].floor > 0
    end
    local part = { char(#list + (floors and 128 or 0)) }
    for i = 1, #list do
        local m = list[i]
        part[#part + 1] = pack('>c12I8I4', m.src, m.off, m.le)
        if floors then
            part[#part + 1] = pack('>I8', m.floor)
        end
    end
    s.marks, s.dirty = table.concat(part), true
end

-- How many there are (0 to 8, or above 128: with floors), and the first.
local function marks_first()
    if not s.marks then
        return unpack('>Bc12I8I4', s.v, s.marks_at)
    elseif s.marks == '' then
        return 0
    end
    return unpack('>Bc12I8I4', s.marks)
end

local function marks_prove(src, off, le)
    local n, msrc, moff, mle = marks_first()
    if n <= 1 then
        return msrc == src and off <= moff and le <= mle
    end
    local list = marks_unpack()
    for i = 1, #list do
        local m = list[i]
        if m.src == src then
            return off >= m.floor and off <= m.off and le <= m.le
        end
    end
    return false
end

-- packed: source, offset and leader epoch as they stand in the item.
local function marks_raise(src, off, le, packed)
    local n, msrc, moff, mle = marks_first()
    if n == 0 or (n == 1 and msrc == src) then
        if n == 0 or le > mle or (le == mle and off > moff) then
            s.marks, s.dirty = '\1' .. packed, true
        end
        return
    end
    local list, at = marks_unpack(), nil
    for i = 1, #list do
        at = at or (list[i].src == src and i)
    end
    local m = { src = src, off = off, le = le, floor = 0 }
    if at then
        local old = list[at]
        if le < old.le or (le == old.le and off <= old.off) then
            return
        end
        m.floor = old.floor
        table.remove(list, at)
    end
    table.insert(list, 1, m)
    list[MARKS_MAX + 1] = nil
    marks_pack(list)
end

-- A record of src went away unfinished: it and what is before it is not proven any more.
local function marks_lower(src, off)
    if s.marks == '' then
        return
    end
    local list = marks_unpack()
    for i = 1, #list do
        if list[i].src == src and list[i].floor <= off then
            list[i].floor = off + 1
            marks_pack(list)
            return
        end
    end
end
