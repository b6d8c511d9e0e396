-- Prolong leases that are still held; return the members that are not.
-- KEYS: leases. ARGV: seconds, member …
local time = redis.call('TIME')
local until_s = tonumber(time[1]) + tonumber(time[2]) / 1e6 + tonumber(ARGV[1])
local lost = {}
for n = 2, #ARGV do
  if redis.call('ZSCORE', KEYS[1], ARGV[n]) then
    redis.call('ZADD', KEYS[1], 'XX', until_s, ARGV[n])
  else
    lost[#lost + 1] = ARGV[n]
  end
end
return lost
