-- Append to a step's journal if the attempt still owns the step. KEYS: leases, journal.
-- ARGV: lease member, entry. Returns 1, or 0 when fenced off. The same entry sent twice in a row
-- is stored once.
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
if redis.call('LINDEX', KEYS[2], -1) ~= ARGV[2] then redis.call('RPUSH', KEYS[2], ARGV[2]) end
return 1
