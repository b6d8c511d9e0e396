-- Count a failed call of a model; enough of them in a row open its breaker for a while.
-- KEYS: failures (sorted by time), breaker (hash).
-- ARGV: call, failures that open it, pause in s, seconds to remember them.
-- Sent twice for the same call it counts once.
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
if redis.call('ZADD', KEYS[1], 'NX', string.format('%.6f', now), ARGV[1]) == 0 then return 0 end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - tonumber(ARGV[2]))
redis.call('EXPIRE', KEYS[1], ARGV[4])
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[2], 'retry_at', string.format('%.6f', now + ARGV[3]))
  redis.call('EXPIRE', KEYS[2], ARGV[4])
end
return 1
