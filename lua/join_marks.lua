#!lua
-- Joins what is known of keys from elsewhere into their states, by maximum, and tells what is known then.
-- Idempotent: an unknown outcome is sent again.
--
-- A mark is a state that holds a block and a generation only. Of a marks topic: of a higher generation it replaces the block, of a
-- lower one it counts for nothing. Of the caller's own (what it settled lately) it must be of the same generation, modulo 64.
--
-- A floor that was cut (a number at or below it went away unfinished) holds against every other. One that merely began (also what a
-- late finish left in a Redis that lost its data) says only that it was not told what was before: of two such the lower one holds,
-- and one that begins beyond what the other knows becomes bits of the other's window. What the caller itself finished lowers any
-- floor that it touches, and beyond a gap hides what is below.
--
-- KEYS    1 fence hash, then for each item its bucket <ns>:{shard}:b:..., its state <ns>:{shard}:k:... and its parked list
--         <ns>:{shard}:p:...
-- ARGV    1 owner's name, 2 its token, or 0: not looked at, 3 ttl ms, then for each item: the key's field in its bucket; empty: its scope
--         has none; and: B 1 the caller's own, B its generation, the mark; nothing behind these two: only told
-- RETURNS 10 where a newer token is known, or none: nothing is done; else for each item a string: the part of its state that
--         a mark holds, empty where there is none or the state cannot be read
-- COST    one HGET or GET an item, and a write where something was not known
-- CALLER  src/ledger/joins.c
local pack, unpack = struct.pack, struct.unpack
local byte, sub, char, format = string.byte, string.sub, string.char, string.format
local band, bor, lshift, rshift = bit.band, bit.bor, bit.lshift, bit.rshift
local call = redis.call
local t = call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
--@include codes
--@include key
--@include numbers
--@include sequence
--@include ranges
--@include place
--@include small
--@include state

local function copy(from, to)
    for _, name in ipairs({ 'Eh', 'El', 'Ih', 'Il', 'Lh', 'Ll', 'Wh', 'Wl', 'cut' }) do
        to[name] = from[name]
    end
    return to
end

local function read_mark(mark)
    state_load(mark)
    local k = {}
    for name, value in pairs(s) do
        k[name] = value
    end
    k.cur = copy(cur, {})
    k.prev = s.has_prev and copy(prev, {})
    return k
end

-- high begins beyond what low knows: where its floor is not cut, low gets what high has seen into its window. False: it does not fit.
local function bridge(low, high)
    local Wh, Wl = low.Wh, low.Wl
    local at = diff(high.Lh, high.Ll, low.Lh, low.Ll)
    local function see(d)
        if d <= 32 then
            Wl = bor(Wl, lshift(1, d - 1))
        else
            Wh = bor(Wh, lshift(1, d - 33))
        end
    end
    if high.cut == 1 or at > 64 then
        return false
    end
    for d = diff(high.Ih, high.Il, low.Lh, low.Ll) + 1, at do
        see(d)
    end
    for n = 0, 63 do
        if band(n < 32 and high.Wl or high.Wh, lshift(1, n % 32)) ~= 0 then
            if at + 1 + n > 64 then
                return false
            end
            see(at + 1 + n)
        end
    end
    low.Wh, low.Wl = Wh % T32, Wl % T32
    return true
end

-- The floor of both, where they touch or nothing bridges them.
local function join_floor(a, b, touch, own)
    local below = diff(b.Ih, b.Il, a.Ih, a.Il) < 0
    local takes = not below
    if touch and (own or a.cut + b.cut == 0) then
        takes = below
    elseif touch and a.cut ~= b.cut then
        takes = b.cut == 1
    end
    if takes then
        a.Ih, a.Il = b.Ih, b.Il
    end
    a.cut = math.max(a.cut, b.cut)
end

-- b into a, of the same epoch. In a lower window, what the higher mark covers falls out.
local function join_known(a, b, own)
    local was = copy(a, {})
    local above, below = diff(b.Ih, b.Il, a.Lh, a.Ll) > 0, diff(a.Ih, a.Il, b.Lh, b.Ll) > 0
    if above and not own and bridge(a, b) then
        block_slide(a)
    elseif below and not own and bridge(b, a) then
        copy(b, a)
        block_slide(a)
    else
        local ahead = diff(b.Lh, b.Ll, a.Lh, a.Ll)
        join_floor(a, b, not above and not below, own)
        if ahead > 0 then
            shift_right(a, ahead)
            a.Lh, a.Ll = b.Lh, b.Ll
        else
            shift_right(b, -ahead)
        end
        a.Wh, a.Wl = bor(a.Wh, b.Wh) % T32, bor(a.Wl, b.Wl) % T32
        block_slide(a)
    end
    for name, value in pairs(was) do
        s.dirty = s.dirty or a[name] % T32 ~= value % T32
    end
end

local function join_epoch(b, own)
    local d = s.block == SEQUENCE_BLOCK and diff(b.Eh, b.El, cur.Eh, cur.El)
    if not d then
        s.block, s.has_prev, s.has_D, s.has_floor, s.has_H, s.dirty = SEQUENCE_BLOCK, false, false, false, false, true
        copy(b, cur)
    elseif d == 0 then
        join_known(cur, b, own)
    elseif d > 0 then
        cur, prev = prev, cur
        copy(b, cur)
        s.has_prev, s.dirty = true, true
    elseif not s.has_prev or diff(b.Eh, b.El, prev.Eh, prev.El) > 0 then
        copy(b, prev)
        s.has_prev, s.dirty = true, true
    elseif diff(b.Eh, b.El, prev.Eh, prev.El) == 0 then
        join_known(prev, b, own)
    end
end

local function join_version(k)
    if s.block ~= VERSION_BLOCK then
        s.block, s.has_prev, s.has_D, s.has_floor, s.has_H = VERSION_BLOCK, false, false, false, false
    end
    if k.has_floor and not (s.has_floor and diff(k.Fh, k.Fl, s.Fh, s.Fl) <= 0) then
        s.has_floor, s.Fh, s.Fl, s.dirty = true, k.Fh, k.Fl, true
    end
    if k.has_H and not (s.has_H and diff(k.Hh, k.Hl, s.Hh, s.Hl) <= 0) then
        s.has_H, s.Hh, s.Hl, s.H_rank, s.dirty = true, k.Hh, k.Hl, k.H_rank, true
    end
end

local function join_succeeded(k)
    if not k.has_D then
        return
    end
    local d = s.has_D and diff(k.Deh, k.Del, s.Deh, s.Del)
    if not d or d > 0 or (d == 0 and diff(k.Dh, k.Dl, s.Dh, s.Dl) > 0) then
        s.has_D, s.Deh, s.Del, s.Dh, s.Dl, s.dirty = true, k.Deh, k.Del, k.Dh, k.Dl, true
    end
end

local function join(k, own, generation)
    if own and s.generation % 64 ~= generation or not own and k.generation < s.generation then
        return
    end
    if not own and k.generation > s.generation then
        s.block, s.generation, s.dirty = 0, k.generation, true
    end
    if k.block == VERSION_BLOCK then
        join_version(k)
    elseif k.block == SEQUENCE_BLOCK then
        if k.prev then
            join_epoch(k.prev, own)
        end
        join_epoch(k.cur, own)
    end
    join_succeeded(k)
end

local function tell()
    if s.block ~= SEQUENCE_BLOCK and s.block ~= VERSION_BLOCK then
        return ''
    end
    s.marks, s.tombs, s.count = '', false, 0
    return pack_all()
end

local parked_key
local ttl = tonumber(ARGV[3])
local function item(text)
    local own, generation = byte(text, 1, 2)
    local k = #text > 2 and read_mark(sub(text, 3))
    state_read()
    if k then
        join(k, own == 1, generation)
        if s.dirty then
            state_save(parked_key, ttl)
        end
    end
    return tell()
end

-- A lower one is an older one that a fail-over brought back: the next claim raises it.
local token = tonumber(ARGV[2])
local newest = token == 0 and 0 or tonumber(call('HGET', KEYS[1], ARGV[1]) or -1)
if newest < 0 or newest > token then
    return codes.FENCED
end
local out = {}
for i = 1, (#ARGV - 3) / 2 do
    place.bucket, place.key, parked_key = KEYS[3 * i - 1], KEYS[3 * i], KEYS[3 * i + 1]
    place.field = ARGV[2 * i + 2]
    local ok, told = pcall(item, ARGV[2 * i + 3])
    out[i] = ok and told or ''
end
return out
