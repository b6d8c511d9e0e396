-- Count what a model call used, and give back the room it held.
-- KEYS: calls that were counted (sorted by time), then one hash per scope.
-- ARGV: call, nanos, tokens, seconds to remember that it was counted, seconds to keep each hash.
-- Sent twice for the same call it counts once.
local time = redis.call('TIME')
local now = tonumber(time[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[4]))
if redis.call('ZADD', KEYS[1], 'NX', now, ARGV[1]) == 0 then return 0 end
redis.call('EXPIRE', KEYS[1], ARGV[4])
for n = 2, #KEYS do
  redis.call('HDEL', KEYS[n], 'r:' .. ARGV[1])
  redis.call('HINCRBY', KEYS[n], 'usd', ARGV[2])
  redis.call('HINCRBY', KEYS[n], 'tokens', ARGV[3])
  redis.call('EXPIRE', KEYS[n], ARGV[3 + n])
end
return 1
