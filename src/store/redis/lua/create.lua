local id, record, replaced = ARGV[3], ARGV[4], ARGV[5]
local refuses, limit = ARGV[6] == 'refuse', tonumber(ARGV[7])
-- How many records that only say `refresh_reused` a user may have.
local MAX_OLD_REUSE = 16

local all = redis.call('HGETALL', user)
local sessions, floor = {}, nil
for i = 1, #all, 2 do
  if all[i] == FLOOR then
    floor = all[i + 1]
  elseif all[i] == id then
    -- Asked again, because the answer was lost: whatever became of the session since, it stays so.
    return {all[i + 1]:sub(191, 204) == 'token_version|' and 'dead' or 'created'}
  else
    sessions[#sessions + 1] = {id = all[i], record = all[i + 1]}
  end
end

local dead = floor and version(record) < floor:sub(1, 20) and now < floor:sub(36, 50)
local lower, others, is_replaced = {}, {}, nil
for _, session in ipairs(sessions) do
  if is_live(session.record) then
    if session.id == replaced then
      is_replaced = session
    elseif version(session.record) < version(record) then
      lower[#lower + 1] = session
    else
      others[#others + 1] = session
    end
  end
end
if refuses and not dead and #others >= limit then return {'refused'} end

-- What ended, each after an `e`, or a `v` where it ended with its version.
local answer = {dead and 'dead' or 'created'}
if is_replaced then
  -- One of a lower version has ended with its version, whoever signs in.
  if not dead and version(is_replaced.record) < version(record) then
    lower[#lower + 1] = is_replaced
  else
    finish(replaced, is_replaced.record, 'signed_in_again')
    answer[#answer + 1] = 'e' .. replaced
  end
end
if not dead then
  for _, session in ipairs(lower) do
    finish(session.id, session.record, 'token_version')
    answer[#answer + 1] = 'v' .. session.id
  end
  if not refuses then
    table.sort(others, function(a, b)
      local x, y = a.record, b.record
      if rotated_at(x) ~= rotated_at(y) then return rotated_at(x) < rotated_at(y) end
      if created_at(x) ~= created_at(y) then return created_at(x) < created_at(y) end
      return a.id < b.id
    end)
    for n = 1, #others + 1 - math.max(limit, 1) do
      finish(others[n].id, others[n].record, 'limit')
      answer[#answer + 1] = 'e' .. others[n].id
    end
  end
end

redis.call('HSET', user, id, record)
if dead then finish(id, record, 'token_version') end
local old = {}
for _, session in ipairs(sessions) do
  if is_reuse(session.record) and keep_until(session.record) <= now then old[#old + 1] = session end
end
table.sort(old, function(a, b) return ended_at(a.record) < ended_at(b.record) end)
for n = 1, #old - MAX_OLD_REUSE do redis.call('HDEL', user, old[n].id) end
tidy()
return answer
