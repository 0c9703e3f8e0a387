#!lua flags=no-writes
-- What is due in a partition of the store, with its values: features/redis_store.py, RedisStore.load.
--
-- KEYS  state (hash), due (sorted set)
-- ARGV  the time, in ms, by which something is due

local CHUNK = 1000  -- Lua's stack holds fewer than 8000 arguments

local keys = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[1])
local values = {}
for first = 1, #keys, CHUNK do
  local some = redis.call('HMGET', KEYS[1], unpack(keys, first, math.min(first + CHUNK - 1, #keys)))
  for i = 1, #some do values[#values + 1] = some[i] end
end
return {redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[1], 'WITHSCORES'), values}
