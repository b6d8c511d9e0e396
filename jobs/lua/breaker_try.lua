-- Say whether a model's breaker lets a call through; after the pause of an open one, one does.
-- KEYS: failures (sorted by time), breaker (hash). ARGV: call, failures that open it, pause in s.
-- Sent twice for the same call it answers the same.
if redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[2]) then return 1 end
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local stored = redis.call('HMGET', KEYS[2], 'retry_at', 'trial')
if stored[2] == ARGV[1] then return 1 end
if now < tonumber(stored[1] or '0') then return 0 end
redis.call('HSET', KEYS[2], 'retry_at', string.format('%.6f', now + ARGV[3]), 'trial', ARGV[1])
redis.call('EXPIRE', KEYS[2], redis.call('TTL', KEYS[1]))
return 1
