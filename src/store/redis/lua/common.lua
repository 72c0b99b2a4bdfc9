-- Every script begins with this file. KEYS are the user's hash and the revocations of the user's
-- bucket. ARGV[1] is the present moment. ARGV[2] is until when the tombstones of this call must
-- stay.
--
-- The parts of a record have fixed places, as codec.rs writes them. Its numbers are texts of one
-- length, so that comparing the texts compares the numbers. Lua's own numbers are doubles, which
-- are not exact for large numbers.
local user, endings, now, keep = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
-- The field of the lowest valid token version, with when it was raised and until when it is needed.
local MIN_VERSION = 'floor'
-- How many ended sessions of a user are kept as records. Of the older ones only the revocations are
-- kept, which other nodes have to know.
local MAX_ENDED = 16
-- How many milliseconds longer the server keeps what the nodes no longer need.
local SLACK = 60000

local function version(record) return record:sub(2, 21) end
local function generation(record) return record:sub(22, 41) end
local function token(record) return record:sub(42, 63) end
local function previous(record) return record:sub(64, 85) end
local function auth_time(record) return record:sub(86, 100) end
local function created_at(record) return record:sub(101, 115) end
local function rotated_at(record) return record:sub(116, 130) end
local function absolute(record) return record:sub(146, 160) end
-- Returns the generation to which the last password change moved the session. Returns nil where
-- there was none.
local function restamped(record) return record:match('^[^|]*|[^|]*|!(%d+)') end
local function ended_at(record) return record:sub(161, 175) end
local function keep_until(record) return record:sub(176, 190) end
local function is_ended(record) return record:byte(161) ~= 32 end
local function is_reuse(record) return record:sub(191, 196) == 'reuse|' end

-- Returns whether this call has ended the session, and is repeated because its answer was lost. No
-- other call has both moments.
local function was_ended_by_this(record)
  return is_ended(record) and ended_at(record) == now and keep_until(record) == keep
end

local function earlier(a, b) if a < b then return a end return b end
local function later(a, b) if a > b then return a end return b end

local function expires_at(record) return earlier(record:sub(131, 145), absolute(record)) end
local function is_live(record) return not is_ended(record) and now < expires_at(record) end

local function delete_at(record)
  if not is_ended(record) then return expires_at(record) end
  if is_reuse(record) then return later(keep_until(record), expires_at(record)) end
  return keep_until(record)
end

-- Lets the server delete a key, but not before `moment`. The time is counted from the caller's
-- present moment, so that the server's clock need not agree with the clocks of the nodes.
local function last_until(key, moment)
  redis.call('PEXPIRE', key, math.max(moment - now + SLACK, 1))
end

local function last_at_least_until(key, moment)
  if redis.call('PTTL', key) < moment - now + SLACK then last_until(key, moment) end
end

local function revoke(member)
  redis.call('ZADD', endings, now, member)
end

-- Ends a live session now.
local function finish(id, record, reason)
  record = record:sub(1, 160) .. now .. keep .. reason .. record:sub(191)
  redis.call('HSET', user, id, record)
  revoke('s' .. keep .. id)
end

-- Removes what is no longer needed, after something has ended: records of the user, ended sessions
-- beyond the limit, and old revocations.
local function tidy()
  local last, ended = now, {}
  local all = redis.call('HGETALL', user)
  for i = 1, #all, 2 do
    local past
    if all[i] == MIN_VERSION then
      past = all[i + 1]:sub(36, 50)
    else
      past = delete_at(all[i + 1])
      if past > now and is_ended(all[i + 1]) then ended[#ended + 1] = {id = all[i], record = all[i + 1]} end
    end
    if past <= now then redis.call('HDEL', user, all[i]) else last = later(last, past) end
  end
  if #ended > MAX_ENDED then
    -- Sessions that ended for reuse are removed last, because their records answer every later
    -- refresh.
    table.sort(ended, function(a, b)
      local x, y = is_reuse(a.record), is_reuse(b.record)
      if x ~= y then return y end
      x, y = ended_at(a.record), ended_at(b.record)
      if x ~= y then return x < y end
      return a.id < b.id
    end)
    for n = 1, #ended - MAX_ENDED do redis.call('HDEL', user, ended[n].id) end
  end
  last_until(user, last)
  for _, member in ipairs(redis.call('ZRANGE', endings, 0, 15)) do
    if member:sub(2, 16) <= now then redis.call('ZREM', endings, member) end
  end
  last_at_least_until(endings, keep)
end
