-- The state of one key as it is stored: see docs/ledger.md for the layout. `s`, `cur` and `prev` are key.lua's.
-- Claims are the tail of the value, so that a change of claims alone keeps the bytes before them. Marks and claims stay where
-- they are in the value until they are needed (s.marks, s.claims are false so long): every string that is not made counts.
local SEQUENCE_BLOCK, VERSION_BLOCK, RANGES_BLOCK = 1, 2, 3
local CUT, PREVIOUS_CUT = 4, 8
local CLAIM_BYTES, ENTRY_BYTES = 59, 63

local function load_sequence(v, minus, flags)
    local pos
    cur.Eh, cur.El, cur.Ih, cur.Il, cur.Lh, cur.Ll, pos = unpack('>I4I4I4I4I4I4', v, 4)
    cur.Wh, cur.Wl, cur.cut, prev.cut = 0, 0, 0, 0
    if minus > 0 then
        if band(minus, CUT) ~= 0 then
            cur.cut = 1
        end
        if band(minus, PREVIOUS_CUT) ~= 0 then
            prev.cut = 1
        end
        if band(minus, 16) ~= 0 then
            cur.Ih = -1
        end
        if band(minus, 32) ~= 0 then
            cur.Lh = -1
        end
    end
    if flags >= 16 then
        if band(flags, 16) ~= 0 then
            cur.Wh, cur.Wl, pos = unpack('>I4I4', v, pos)
        end
        if band(flags, 32) ~= 0 then
            s.has_prev = true
            prev.Eh, prev.El, prev.Ih, prev.Il, prev.Lh, prev.Ll, prev.Wh, prev.Wl, pos =
                unpack('>I4I4I4I4I4I4I4I4', v, pos)
            if band(minus, 64) ~= 0 then
                prev.Ih = -1
            end
            if band(minus, 128) ~= 0 then
                prev.Lh = -1
            end
        end
        if band(flags, 128) ~= 0 then
            s.has_D, s.Deh, s.Del, s.Dh, s.Dl = true, cur.Eh, cur.El, cur.Lh, cur.Ll
        elseif band(flags, 64) ~= 0 then
            s.has_D = true
            s.Deh, s.Del, s.Dh, s.Dl, pos = unpack('>I4I4I4I4', v, pos)
        end
    end
    return pos
end

local function load_version(v, flags)
    local pos = 4
    if band(flags, 16) ~= 0 then
        s.has_floor = true
        s.Fh, s.Fl, pos = unpack('>I4I4', v, pos)
    end
    if band(flags, 32) ~= 0 then
        s.has_H = true
        s.Hh, s.Hl, s.H_rank, pos = unpack('>I4I4c20', v, pos)
    end
    if band(flags, 128) ~= 0 then
        if not s.has_H then
            error('mark')
        end
        s.has_D, s.Deh, s.Del, s.Dh, s.Dl = true, 0, 0, s.Hh, s.Hl
    elseif band(flags, 64) ~= 0 then
        s.has_D, s.Deh, s.Del = true, 0, 0
        s.Dh, s.Dl, pos = unpack('>I4I4', v, pos)
    end
    return pos
end

local function load_ranges(v)
    local n, pos
    s.floor, n, pos = unpack('>I8B', v, 4)
    s.r = {}
    for i = 1, n * 3, 3 do
        s.r[i], s.r[i + 1], s.r[i + 2], pos = unpack('>I8I8I4', v, pos)
    end
    return pos
end

-- v is the stored value or false. Raises an error where the bytes make no sense.
local function state_load(v)
    s.told = nil -- what stands there once it is written
    s.v, s.dirty, s.block, s.has_prev, s.has_D, s.has_floor, s.has_H = v, false, 0, false, false, false, false
    s.generation, s.tombs, s.count, s.head, s.marks, s.claims = 0, false, 0, false, '', ''
    s.marks_at, s.claims_at = 0, 0
    s.listed = false -- whether what stands under the name of the parked list is one
    if not v then
        return
    end
    local version, block, flags = byte(v, 1, 3)
    if version ~= 1 then
        error('version')
    end
    local pos, minus = 4, band(block, 252)
    block = block - minus
    s.block = block
    if block == SEQUENCE_BLOCK then
        pos = load_sequence(v, minus, flags)
    elseif block == VERSION_BLOCK then
        pos = load_version(v, flags)
    elseif block == RANGES_BLOCK then
        pos = load_ranges(v)
    elseif block ~= 0 then
        error('block')
    end
    if band(flags, 15) ~= 0 then
        if band(flags, 1) ~= 0 then
            s.generation, pos = unpack('>I4', v, pos)
        end
        if band(flags, 2) ~= 0 then
            local n = byte(v, pos)
            s.marks, s.marks_at = false, pos
            pos = pos + 1 + (n < 128 and n * 24 or (n - 128) * 32)
            s.marks_end = pos - 1
        end
        s.tombs = band(flags, 4) ~= 0
        if band(flags, 8) ~= 0 then
            s.count, s.head, pos = unpack('>I4c63', v, pos)
        end
        s.listed = s.tombs or s.count > 0
    end
    local rest = #v - pos + 1
    if rest > 0 then
        s.claims = false
    end
    if rest < 0 or rest % CLAIM_BYTES ~= 0 then
        error('length')
    end
    s.claims_at = pos
end

-- The state of the key at hand, wherever it stands.
local function state_read()
    local v = place_find()
    state_load(v and widen(v))
end

local function marks_get()
    if not s.marks then
        s.marks = sub(s.v, s.marks_at, s.marks_end)
    end
    return s.marks
end

local function claims_get()
    if not s.claims then
        s.claims = sub(s.v, s.claims_at)
    end
    return s.claims
end

local function pack_sequence()
    local body = pack('>I4I4I4I4I4I4', cur.Eh, cur.El, cur.Ih, cur.Il, cur.Lh, cur.Ll)
    local minus, flags = 0, 0
    if cur.Ih < 0 then
        minus = cur.Lh < 0 and 48 or 16
    end
    if cur.cut == 1 then
        minus = minus + CUT
    end
    if cur.Wl ~= 0 or cur.Wh ~= 0 then
        body, flags = body .. pack('>I4I4', cur.Wh, cur.Wl), 16
    end
    if s.has_prev then
        body = body .. pack('>I4I4I4I4I4I4I4I4', prev.Eh, prev.El, prev.Ih, prev.Il, prev.Lh, prev.Ll, prev.Wh, prev.Wl)
        flags = flags + 32
        if prev.Ih < 0 then
            minus = minus + (prev.Lh < 0 and 192 or 64)
        end
        if prev.cut == 1 then
            minus = minus + PREVIOUS_CUT
        end
    end
    if s.has_D then
        if s.Dl == cur.Ll and s.Dh == cur.Lh and s.Del == cur.El and s.Deh == cur.Eh then
            flags = flags + 128
        else
            body, flags = body .. pack('>I4I4I4I4', s.Deh, s.Del, s.Dh, s.Dl), flags + 64
        end
    end
    return body, minus, flags
end

local function pack_version()
    local body, flags = '', 0
    if s.has_floor then
        body, flags = pack('>I4I4', s.Fh, s.Fl), 16
    end
    if s.has_H then
        body, flags = body .. pack('>I4I4c20', s.Hh, s.Hl, s.H_rank), flags + 32
    end
    if s.has_D then
        if s.has_H and s.Dl == s.Hl and s.Dh == s.Hh then
            flags = flags + 128
        else
            body, flags = body .. pack('>I4I4', s.Dh, s.Dl), flags + 64
        end
    end
    return body, flags
end

local function pack_ranges()
    local r = s.r
    local part = { pack('>I8B', s.floor, #r / 3) }
    for i = 1, #r, 3 do
        part[#part + 1] = pack('>I8I8I4', r[i], r[i + 1], r[i + 2])
    end
    return table.concat(part)
end

local function pack_all()
    local body, minus, flags = '', 0, 0
    if s.block == SEQUENCE_BLOCK then
        body, minus, flags = pack_sequence()
    elseif s.block == VERSION_BLOCK then
        body, flags = pack_version()
    elseif s.block == RANGES_BLOCK then
        body = pack_ranges()
    end
    if s.generation ~= 0 then
        body, flags = body .. pack('>I4', s.generation), flags + 1
    end
    if marks_get() ~= '' then
        body, flags = body .. s.marks, flags + 2
    end
    if s.tombs then
        flags = flags + 4
    end
    if s.count > 0 then
        body, flags = body .. pack('>I4c63', s.count, s.head), flags + 8
    end
    return char(1, s.block + minus, flags) .. body
end

-- Everything before the claims.
local function state_prefix()
    if not s.dirty and s.v then
        return sub(s.v, 1, s.claims_at - 1)
    end
    -- By far the most: a sequence in order, of which the last succeeded, with a mark, and nothing else.
    if
        s.block == SEQUENCE_BLOCK
        and s.count == 0
        and s.has_D
        and s.Dl == cur.Ll
        and s.Dh == cur.Lh
        and s.Del == cur.El
        and s.Deh == cur.Eh
        and cur.Wl == 0
        and cur.Wh == 0
        and cur.Ih >= 0
        and cur.cut == 0
        and s.generation == 0
        and not (s.has_prev or s.tombs)
        and marks_get() ~= ''
    then
        return pack('>BBBI4I4I4I4I4I4', 1, 1, 130, cur.Eh, cur.El, cur.Ih, cur.Il, cur.Lh, cur.Ll) .. s.marks
    end
    return pack_all()
end

local function state_write(parked_key, value, ttl)
    s.told = place_put(value, ttl)
    if s.count > 0 or s.tombs then
        call('PEXPIRE', parked_key, decimal(ttl))
    end
end

-- Writes the state with its claims; where nothing is left to tell, it goes.
local function state_save(parked_key, ttl)
    local prefix = state_prefix()
    if #prefix == 3 and claims_get() == '' and not s.tombs then
        if s.v then
            place_drop()
        end
        return
    end
    state_write(parked_key, prefix .. claims_get(), ttl)
end
