-- Prolong a place that is still held.
-- KEYS: places (sorted by when they run out). ARGV: holder, seconds to hold.
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
redis.call('ZADD', KEYS[1], 'XX', string.format('%.6f', now + ARGV[2]), ARGV[1])
redis.call('EXPIRE', KEYS[1], math.ceil(ARGV[2]))
return 1
