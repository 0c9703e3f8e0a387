#!lua
-- Applies one batch to a partition of the store, or says why not: features/redis_store.py, RedisStore.apply.
--
-- KEYS  state (hash), due (sorted set)
-- ARGV  the entry the partition must stand at, how many arguments each of the four lists has, then the lists:
--       put (field, value, ...; the new position among them), removed (field, ...), due (ms, key, ...), undue (key, ...)
--
-- Scripts do not roll back, so whatever can be wrong is looked at before the first write. The first line makes the
-- server itself refuse the whole script when it is out of memory, read-only or cannot persist.

local CHUNK = 1000  -- Lua's stack holds fewer than 8000 arguments; even, so that pairs stay together

local position = redis.call('HGET', KEYS[1], '@position')
redis.call('ZCARD', KEYS[2])  -- an error here if the key is not a sorted set
local entry = position and tonumber(string.match(position, '^%d+')) or 0
local before = tonumber(ARGV[1])

if entry > before then return 'already' end
if entry < before then return 'behind' end

local at = 6
local function each(command, key, count)
  local last = at + count - 1
  for first = at, last, CHUNK do
    redis.call(command, key, unpack(ARGV, first, math.min(first + CHUNK - 1, last)))
  end
  at = last + 1
end

each('HSET', KEYS[1], tonumber(ARGV[2]))
each('HDEL', KEYS[1], tonumber(ARGV[3]))
each('ZADD', KEYS[2], tonumber(ARGV[4]))
each('ZREM', KEYS[2], tonumber(ARGV[5]))
return 'done'
