-- End every lease of one worker. KEYS: leases. ARGV: the suffix "|<worker>". Returns how many.
local suffix, ended = ARGV[1], 0
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if string.sub(member, -#suffix) == suffix then
    redis.call('ZADD', KEYS[1], 0, member)
    ended = ended + 1
  end
end
return ended
