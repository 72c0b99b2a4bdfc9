local id, reason = ARGV[3], ARGV[4]

local record = redis.call('HGET', user, id)
if record and was_ended_by_this(record) and record:sub(191, 191 + #reason) == reason .. '|' then return 1 end
if not record or not is_live(record) then return 0 end
finish(id, record, reason)
tidy()
return 1
