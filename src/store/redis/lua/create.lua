local id, record, replaced = ARGV[3], ARGV[4], ARGV[5]
local refuses, limit = ARGV[6] == 'refuse', tonumber(ARGV[7])

local all = redis.call('HGETALL', user)
local sessions, raised, known = {}, nil, nil
for i = 1, #all, 2 do
  if all[i] == MIN_VERSION then
    raised = all[i + 1]
  elseif all[i] == id then
    known = all[i + 1]
  else
    sessions[#sessions + 1] = {id = all[i], record = all[i + 1]}
  end
end

if known then
  -- The call is repeated, because its answer was lost. Whatever happened to the session since then
  -- stays as it is.
  local answer = {was_ended_by_this(known) and 'ended' or 'created'}
  for _, session in ipairs(sessions) do
    if was_ended_by_this(session.record) then
      local with_version = session.record:sub(191, 204) == 'token_version|'
      answer[#answer + 1] = (with_version and 'v' or 'e') .. session.id
    end
  end
  return answer
end

local is_outdated = raised and version(record) < raised:sub(1, 20) and now < raised:sub(36, 50)
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
if refuses and not is_outdated and #others >= limit then return {'refused'} end

-- The answer lists the sessions that ended. Each has the prefix `e`, or `v` if it ended because of
-- its token version.
local answer = {is_outdated and 'ended' or 'created'}
if is_replaced then
  -- A replaced session of a lower version ends because of its version, even in the same browser.
  if not is_outdated and version(is_replaced.record) < version(record) then
    lower[#lower + 1] = is_replaced
  else
    finish(replaced, is_replaced.record, 'signed_in_again')
    answer[#answer + 1] = 'e' .. replaced
  end
end
if not is_outdated then
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
if is_outdated then finish(id, record, 'token_version') end
tidy()
return answer
