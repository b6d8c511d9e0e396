-- Store one change of a run with all that follows from it, all or nothing.
-- KEYS: run hash, event stream, feed, leases, timers, runs by start, active runs, open approvals,
--       approval index, job queue, queue registry, ended runs, runs of the thread
-- ARGV: one JSON-free flat list; see RedisStore.commit for its order. Returns "ok" or "conflict".
-- Sent twice (the client gave up waiting and repeated it) it answers "ok" and changes nothing.
local at = 1
local function take() local v = ARGV[at]; at = at + 1; return v end

local run_id, expected, version, commit_id = take(), take(), take(), take()
local stored = redis.call('HMGET', KEYS[1], 'version', 'commit')
if stored[2] == commit_id then return 'ok' end
if (stored[1] or '0') ~= expected then return 'conflict' end

local run, queued = take(), take()
redis.call('HSET', KEYS[1], 'version', version, 'commit', commit_id, 'run', run, 'queued', queued)

local first = tonumber(expected) + 1
for n = 1, tonumber(take()) do
  redis.call('XADD', KEYS[2], (first + n - 1) .. '-0', 'e', take())
end
redis.call('XADD', KEYS[3], 'MAXLEN', '~', take(), '*', 'run', run_id, 'first', first, 'last', version)

local started_at = take()
if expected == '0' then
  redis.call('ZADD', KEYS[6], started_at, run_id)
  redis.call('ZADD', KEYS[13], started_at, run_id)
end
local is_active, ended_at = take(), take()
if is_active == '1' then
  redis.call('SADD', KEYS[7], run_id)
else
  redis.call('SREM', KEYS[7], run_id)
  redis.call('ZADD', KEYS[12], ended_at, run_id)
end

for _ = 1, tonumber(take()) do redis.call('ZREM', KEYS[4], take()) end
local lease_s = tonumber(take())
local time = redis.call('TIME')
local until_s = tonumber(time[1]) + tonumber(time[2]) / 1e6 + lease_s
for _ = 1, tonumber(take()) do redis.call('ZADD', KEYS[4], until_s, take()) end

for _ = 1, tonumber(take()) do redis.call('ZREM', KEYS[5], take()) end
for _ = 1, tonumber(take()) do
  local member = take()
  redis.call('ZADD', KEYS[5], take(), member)
end

for _ = 1, tonumber(take()) do redis.call('ZREM', KEYS[8], take()) end
for _ = 1, tonumber(take()) do
  local approval = take()
  redis.call('ZADD', KEYS[8], take(), approval)
  redis.call('HSET', KEYS[9], approval, run_id)
end

local tickets = tonumber(take())
for _ = 1, tickets do
  local job_id, job_key, fields = take(), take(), tonumber(take())
  for _ = 1, fields do
    local field = take()
    redis.call('HSET', job_key, field, take())
  end
  redis.call('RPUSH', KEYS[10], job_id)
end
if tickets > 0 then redis.call('SADD', KEYS[11], KEYS[10]) end
return 'ok'
