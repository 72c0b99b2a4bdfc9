local name, least, reason = ARGV[3], ARGV[4], ARGV[5]
-- The session to keep ('' for none), its next token, the present moment of the keeping, and its
-- expiry.
local kept, next_token, kept_now, expiry = ARGV[6], ARGV[7], ARGV[8], ARGV[9]

-- Returns the number plus one, for a number of any length.
local function successor(number)
  if number == '18446744073709551615' then return number end
  local head, nines = number:match('^(.-)(9*)$')
  return head:sub(1, -2) .. string.char(head:byte(-1) + 1) .. ('0'):rep(#nines)
end

local function restamp(record)
  if token(record) == next_token then return record end
  local next_generation = successor(generation(record))
  local head, rest = record:match('^([^|]*|[^|]*|)(.*)$')
  -- A record of an earlier release has no addition.
  local added = rest:sub(1, 1) == '!' and rest:sub(22) or 'pwd|aal1|' .. rest
  return '1' .. later(version(record), least) .. next_generation .. next_token .. token(record)
    .. kept_now .. created_at(record) .. kept_now .. earlier(expiry, absolute(record)) .. head:sub(146)
    .. '!' .. next_generation .. added
end

local answer = false
local raised = {least, now, keep}
local all = redis.call('HGETALL', user)
for i = 1, #all, 2 do
  local id, record = all[i], all[i + 1]
  if id == MIN_VERSION then
    redis.call('ZREM', endings, 'u' .. record:sub(36, 50) .. record:sub(1, 20) .. name)
    raised = {later(least, record:sub(1, 20)), later(now, record:sub(21, 35)), later(keep, record:sub(36, 50))}
  elseif id == kept and not is_ended(record) and kept_now < expires_at(record) then
    answer = restamp(record)
    redis.call('HSET', user, id, answer)
  elseif version(record) < least and is_live(record) then
    finish(id, record, reason)
  end
end
redis.call('HSET', user, MIN_VERSION, table.concat(raised))
redis.call('ZADD', endings, raised[2], 'u' .. raised[3] .. raised[1] .. name)
last_at_least_until(endings, raised[3])
tidy()
return answer
