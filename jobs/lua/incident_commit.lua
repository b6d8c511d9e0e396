-- Store what a batch of alerts (or one update) changed, all or nothing.
-- KEYS: incidents by opening, those that are due, feed,
--       then for each incident its hash and the hash of its alerts, then for each group its list
-- ARGV: one flat list; see RedisIncidentStore._commit for its order. Returns "ok" or "conflict".
-- Sent twice (the client gave up waiting and repeated it) it answers "ok" and changes nothing.
local at, key = 1, 3
local function take() local v = ARGV[at]; at = at + 1; return v end
local function take_key() key = key + 1; return KEYS[key] end

local commit_id, feed_length, keep_s, group_keep_s = take(), take(), take(), take()
local incidents, groups = tonumber(take()), tonumber(take())

for n = 1, incidents do
  local stored = redis.call('HMGET', KEYS[2 + 2 * n], 'version', 'commit')
  if stored[2] == commit_id then return 'ok' end
  if (stored[1] or '0') ~= ARGV[6 + n] then return 'conflict' end
end
at = 7 + incidents
for n = 1, groups do
  local expected = take()
  if (redis.call('GET', KEYS[3 + 2 * incidents + n]) or '') ~= expected then return 'conflict' end
end

for _ = 1, incidents do
  local hash, alerts = take_key(), take_key()
  local id, version, opened_at = take(), take(), take()
  local is_due, is_resolved = take(), take()
  redis.call('HSET', hash, 'version', version, 'commit', commit_id, 'incident', take())
  for _ = 1, tonumber(take()) do
    local alert = take()
    redis.call('HSET', alerts, alert, take())
  end
  redis.call('ZADD', KEYS[1], opened_at, id)
  if is_due == '1' then redis.call('ZADD', KEYS[2], opened_at, id)
  else redis.call('ZREM', KEYS[2], id) end
  if is_resolved == '1' then
    redis.call('EXPIRE', hash, keep_s)
    redis.call('EXPIRE', alerts, keep_s)
  else
    redis.call('PERSIST', hash)
    redis.call('PERSIST', alerts)
  end
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', feed_length, '*', 'incident', id)
end
for _ = 1, groups do redis.call('SET', take_key(), take(), 'EX', group_keep_s) end
return 'ok'
