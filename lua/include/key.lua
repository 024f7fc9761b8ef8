-- What is known of the key at hand: one table serves every item of a call.
local s = { r = {} }
local cur, prev = {}, {} -- epochs of a sequence: the current one and the one before
