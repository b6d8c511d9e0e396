-- Open a thread once. KEYS: thread, channel's threads, channels, feed.
-- ARGV: thread id, channel, title, now, feed length. Returns the thread's fields.
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'channel', ARGV[2], 'title', ARGV[3],
    'opened_at', ARGV[4], 'updated_at', ARGV[4], 'status', '', 'waits', '0')
  redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1])
  redis.call('SADD', KEYS[3], ARGV[2])
  redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[5], '*',
    'channel', ARGV[2], 'thread', ARGV[1], 'message', '')
end
return redis.call('HGETALL', KEYS[1])
