-- Keep a piece of evidence if the attempt still owns its step and the run has room for it.
-- KEYS: leases, evidence of the run, file of this piece.
-- ARGV: lease member ("" when nobody has to own anything), most pieces, id, JSON, maybe a file.
-- Returns "ok", "fenced" or "full".
if ARGV[1] ~= '' and not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 'fenced' end
if redis.call('HEXISTS', KEYS[2], ARGV[3]) == 0
   and redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[2]) then return 'full' end
redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
if ARGV[5] then redis.call('SET', KEYS[3], ARGV[5]) end
return 'ok'
