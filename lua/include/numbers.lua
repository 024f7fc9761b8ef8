-- Numbers. A Lua number is a double: exact to 2^53 only. So epochs, sequences and versions are kept as two halves
-- (hi, lo) of 32 bits; -1 ("nothing yet") is (-1, 4294967295). Offsets, tokens and times are below 2^53 and stay whole.
-- Binary strings are never compared by `<`: that is strcoll, which depends on the server's locale.
local T32 = 4294967296
local T52 = 4503599627370496

-- a - b. Its sign is always right and it is exact where it is small: the product is exact and rounding is monotonous.
local function diff(ah, al, bh, bl)
    return (ah - bh) * T32 + (al - bl)
end

local function minus(h, l, n) -- n below 2^32
    l = l - n
    if l < 0 then
        return h - 1, l + T32
    end
    return h, l
end
