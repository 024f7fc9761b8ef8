-- The block of one epoch of a `sequence` identity: Eh El epoch, Ih Il floor I, Lh Ll contiguous mark L, Wh Wl window:
-- bit n says that L + 1 + n was seen. At or below I nothing is known; above I and at or below L all was seen. cut: 1 where a number
-- at or below I went away unfinished; else I says only what was not told here.

local function shift_right(b, n)
    if n >= 64 then
        b.Wh, b.Wl = 0, 0
    elseif n >= 32 then
        b.Wh, b.Wl = 0, rshift(b.Wh, n - 32)
    elseif n > 0 then
        b.Wh, b.Wl = rshift(b.Wh, n), bor(rshift(b.Wl, n), lshift(b.Wh, 32 - n))
    end
end

local function block_start(b, Eh, El, Sh, Sl)
    b.Eh, b.El, b.Wh, b.Wl, b.cut = Eh, El, 0, 0, 0
    b.Ih, b.Il = minus(Sh, Sl, 1)
    b.Lh, b.Ll = b.Ih, b.Il
end

local function block_slide(b)
    while band(b.Wl, 1) == 1 do
        b.Wh, b.Wl = rshift(b.Wh, 1), bor(rshift(b.Wl, 1), lshift(b.Wh, 31))
        b.Ll = b.Ll + 1
        if b.Ll == T32 then
            b.Lh, b.Ll = b.Lh + 1, 0
        end
    end
end

-- GO (not seen), DUP (seen) or INDETERMINATE
local function block_verdict(b, Sh, Sl)
    if diff(Sh, Sl, b.Ih, b.Il) <= 0 then
        return codes.INDETERMINATE
    end
    local d = diff(Sh, Sl, b.Lh, b.Ll)
    if d <= 0 then
        return codes.DUP
    end
    if d <= 32 then
        return band(b.Wl, lshift(1, d - 1)) ~= 0 and codes.DUP or codes.GO
    end
    if d <= 64 then
        return band(b.Wh, lshift(1, d - 33)) ~= 0 and codes.DUP or codes.GO
    end
    return codes.GO
end

-- S was seen: sets its bit. One too far ahead drags L along, and then what is below is not known any more: I = L.
local function block_join(b, Sh, Sl)
    local d = diff(Sh, Sl, b.Lh, b.Ll)
    if d <= 0 then
        return
    end
    if d == 1 and b.Wl == 0 and b.Wh == 0 then
        b.Lh, b.Ll = Sh, Sl
        return
    end
    if d > 64 then
        shift_right(b, d - 64)
        b.Lh, b.Ll = minus(Sh, Sl, 64)
        b.Ih, b.Il = b.Lh, b.Ll
        d = 64
    end
    if d <= 32 then
        b.Wl = bor(b.Wl, lshift(1, d - 1))
    else
        b.Wh = bor(b.Wh, lshift(1, d - 33))
    end
    block_slide(b)
end

-- S went away unfinished: nothing at or below it may be called seen.
local function block_raise_floor(b, Sh, Sl)
    b.cut = 1
    if diff(Sh, Sl, b.Ih, b.Il) > 0 then
        b.Ih, b.Il = Sh, Sl
    end
    local ahead = diff(b.Ih, b.Il, b.Lh, b.Ll)
    if ahead > 0 then
        shift_right(b, ahead)
        b.Lh, b.Ll = b.Ih, b.Il
        block_slide(b)
    end
end
