-- Hold room for a model call in every scope, or in none when one has too little.
-- KEYS: one hash per scope: usd and tokens used, and `r:<call>` = "until nanos tokens" for each call
--       under way.
-- ARGV: call, now, until, nanos and tokens asked for, then per scope: most nanos, most tokens (empty
--       for no limit), seconds to keep the hash.
-- Returns nothing when the room is held; else the scope's number, the unit, used and held in it.
-- Sent twice for the same call it holds the room once.
local call, now, until_s = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local nanos, tokens = tonumber(ARGV[4]), tonumber(ARGV[5])
local function text(number) return string.format('%.0f', number) end
for n, key in ipairs(KEYS) do
  local spent = redis.call('HGETALL', key)
  local usd, used, held_usd, held = 0, 0, 0, 0
  for at = 1, #spent, 2 do
    local name, value = spent[at], spent[at + 1]
    if name == 'usd' then
      usd = tonumber(value)
    elseif name == 'tokens' then
      used = tonumber(value)
    elseif name ~= 'r:' .. call then
      local expires, own_usd, own = string.match(value, '^(%S+) (%S+) (%S+)$')
      if tonumber(expires) <= now then
        redis.call('HDEL', key, name)
      else
        held_usd, held = held_usd + tonumber(own_usd), held + tonumber(own)
      end
    end
  end
  local most_usd, most = tonumber(ARGV[3 + n * 3]), tonumber(ARGV[4 + n * 3])
  if most_usd and nanos > 0 and usd + held_usd + nanos > most_usd then
    return {n, 'usd', text(usd), text(held_usd)}
  end
  if most and used + held + tokens > most then
    return {n, 'tokens', text(used), text(held)}
  end
end
for n, key in ipairs(KEYS) do
  redis.call('HSET', key, 'r:' .. call, until_s .. ' ' .. ARGV[4] .. ' ' .. ARGV[5])
  redis.call('EXPIRE', key, ARGV[5 + n * 3])
end
return {}
