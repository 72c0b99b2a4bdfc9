-- Decides as session::decide does, row by row.
local id, presented_generation, presented, known_version = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
-- The generation after the presented one, and its token.
local next_generation, next_token = ARGV[7], ARGV[8]
-- The expiry of the session if it rotates, and the earliest rotation that the grace still accepts
-- ('' without a grace).
local expiry, grace_from = ARGV[9], ARGV[10]

local record = redis.call('HGET', user, id)
if not record or delete_at(record) <= now then return {'unknown'} end
if is_ended(record) then
  if is_reuse(record) and was_ended_by_this(record) then return {'reused'} end
  return {'ended', record}
end
if version(record) > known_version then return {'stale'} end
if version(record) < known_version then
  finish(id, record, 'token_version')
  record = redis.call('HGET', user, id)
  tidy()
  return {'ended', record}
end
if generation(record) == presented_generation then
  if token(record) ~= presented then return {'foreign'} end
  local moved = '1' .. version(record) .. next_generation .. next_token .. presented .. auth_time(record)
    .. created_at(record) .. now .. earlier(expiry, absolute(record)) .. record:sub(146)
  redis.call('HSET', user, id, moved)
  last_at_least_until(user, delete_at(moved))
  return {'rotated', moved}
end
if presented_generation > generation(record) then return {'foreign'} end
if next_generation == generation(record) then
  if previous(record) ~= presented then return {'foreign'} end
  -- The call is repeated, because its answer was lost.
  if token(record) == next_token then return {'rotated', record} end
  if grace_from ~= '' and rotated_at(record) >= grace_from then
    if restamped(record) == generation(record) then return {'superseded'} end
    return {'replayed', record}
  end
end
finish(id, record, 'reuse')
tidy()
return {'reused'}
