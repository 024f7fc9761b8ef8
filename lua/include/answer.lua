-- The answer to an item, and the way there.

local function answer(code, would, busy) -- busy: or, with DUP, how many numbers from it to the last
    local a = code + 32 * (would or code) + 1024 * s.count + 2 ^ 47 * ((s.generation or 0) % 64)
    local at = n + 1
    n = at
    if busy then
        a = a + 2 ^ 44
        n = n + 1
        out[n] = busy
    elseif s.count > 0 and (verb ~= CLAIM or code == codes.BLOCKED or code == codes.NOT_HEAD or code == codes.PARK_FULL) then
        local tier, copy, ehop, expires = unpack(TAIL, s.head, 42)
        a = a + 2 ^ 43 + (expires <= now and 2 ^ 42 or 0) + (ehop == NO_HOP and 2 ^ 46 or 0)
        out[n + 1], out[n + 2] = tier, copy
        n = n + 2
    end
    out[at] = a
end

-- v: what stands there.
local function apply(v)
    rank = sub(item, 6, 25)
    if verb == CLAIM then
        answer(claim(v))
    else
        answer(finish(v))
    end
end

-- What cannot be read spoils its own item only.
local function corrupt()
    s.count = 0
    answer(codes.CORRUPT)
end

-- What stands in the bucket is something that swap_states can be told to expect.
local function is_plain(v)
    local how = byte(v)
    return how >= AS.FREE and how <= AS.NEW
end
