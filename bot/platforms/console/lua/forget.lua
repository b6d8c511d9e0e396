-- Remove a thread with its messages, unless it changed in the meantime; and its channel if that
-- was the last one. KEYS: channel's threads, thread, thread's messages, channels.
-- ARGV: thread id, channel, the time since when it must not have changed (empty: any),
--       what the keys of messages begin with. Returns how many were removed.
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score then return 0 end
if ARGV[3] ~= '' and tonumber(score) >= tonumber(ARGV[3]) then return 0 end
for _, message in ipairs(redis.call('LRANGE', KEYS[3], 0, -1)) do
  redis.call('DEL', ARGV[4] .. message)
end
redis.call('DEL', KEYS[2], KEYS[3])
redis.call('ZREM', KEYS[1], ARGV[1])
if redis.call('ZCARD', KEYS[1]) == 0 then redis.call('SREM', KEYS[4], ARGV[2]) end
return 1
