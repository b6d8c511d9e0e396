-- Go on holding the room of a model call, where it is still held.
-- KEYS: one hash per scope. ARGV: call, "until nanos tokens".
for _, key in ipairs(KEYS) do
  if redis.call('HEXISTS', key, 'r:' .. ARGV[1]) == 1 then
    redis.call('HSET', key, 'r:' .. ARGV[1], ARGV[2])
  end
end
return 1
