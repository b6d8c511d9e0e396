-- Post a message once (ARGV mode 'post') or replace what it shows (mode 'edit').
-- KEYS: message, thread, thread's messages, channel's threads, feed.
-- ARGV: mode, message id, thread id, channel, view, now, status or '-', waits, feed length,
--       version of what the view shows or '-': an edit to a lower one than is shown changes nothing.
-- Returns the message's fields; nothing when the thread (or the message to edit) is gone.
-- Sent twice it changes nothing: a post is known by its id, an edit by the time of the edit.
local exists = redis.call('EXISTS', KEYS[1]) == 1
if ARGV[1] == 'post' then
  if exists then return redis.call('HGETALL', KEYS[1]) end
  if redis.call('EXISTS', KEYS[2]) == 0 then return {} end
  redis.call('HSET', KEYS[1], 'thread', ARGV[3], 'posted_at', ARGV[6], 'version', 1,
    'view', ARGV[5])
  redis.call('RPUSH', KEYS[3], ARGV[2])
else
  if not exists then return {} end
  local last = redis.call('HMGET', KEYS[1], 'edited_at', 'view', 'shows')
  local is_older = ARGV[10] ~= '-' and tonumber(ARGV[10]) < tonumber(last[3] or '0')
  if is_older or last[1] == ARGV[6] and last[2] == ARGV[5] then
    return redis.call('HGETALL', KEYS[1])
  end
  redis.call('HSET', KEYS[1], 'edited_at', ARGV[6], 'view', ARGV[5])
  redis.call('HINCRBY', KEYS[1], 'version', 1)
end
if ARGV[10] ~= '-' then redis.call('HSET', KEYS[1], 'shows', ARGV[10]) end
redis.call('HSET', KEYS[2], 'updated_at', ARGV[6])
if ARGV[7] ~= '-' then redis.call('HSET', KEYS[2], 'status', ARGV[7], 'waits', ARGV[8]) end
redis.call('ZADD', KEYS[4], ARGV[6], ARGV[3])
redis.call('XADD', KEYS[5], 'MAXLEN', '~', ARGV[9], '*',
  'channel', ARGV[4], 'thread', ARGV[3], 'message', ARGV[2])
return redis.call('HGETALL', KEYS[1])
