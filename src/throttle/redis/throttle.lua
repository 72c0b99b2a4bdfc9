-- Counts an attempt and admits it, or says how long to wait. It is `MemoryThrottle` in one step, and
-- a test compares the two answer by answer.
--
-- KEYS: see `Slot` in keys.rs. A key that an attempt does not have is the prefix alone, so that all
-- are in one slot of a cluster.
-- ARGV: the operation, the outcome, the present moment in milliseconds.
-- Returns: how long to wait in milliseconds, or -1 for an attempt that is admitted.

-- `rules` stands before this text: see rules.rs.
local now = tonumber(ARGV[3])

local function key(slot)
  local name = KEYS[slot]
  return name:sub(-1) ~= ':' and name or nil
end

local GOOD, LOGIN, USER = key(1), key(2), key(3)
local PAIR_OF_LOGIN, PAIR_OF_USER, DEVICE, DEVICES = key(4), key(5), key(6), key(7)
local NETWORKS = { key(8), key(9), key(10) }
local KNOWN_OF_LOGIN, KNOWN_OF_USER = key(11), key(12)
local PROMISE, SLOT_OF_LOGIN, SLOT_OF_USER = key(13), key(14), key(15)
local SPENT = { key(16), key(17), key(18) }

-- How long an entry is kept after it says nothing any more: the clocks of nodes differ.
local MARGIN = 120000

local function text(number)
  return string.format('%.0f', number)
end

local function keep(name, value, needed)
  redis.call('SET', name, value, 'PX', text(math.max(needed, 0) + MARGIN))
end

-- A count: the moment of the last failure, and the moment at which all are forgotten.

local read

local function write(name, count)
  if count then
    keep(name, text(count.last) .. ':' .. text(count.forgotten), count.forgotten - now)
  else
    redis.call('DEL', name)
  end
end

function read(name)
  local value = redis.call('GET', name)
  local last, forgotten = (value or ''):match('^(-?%d+):(-?%d+)$')
  -- A text of another form counts as none.
  if not last then return nil end
  local count = { last = tonumber(last), forgotten = tonumber(forgotten) }
  if count.last > now + MARGIN then
    -- A node with a wrong clock has written it. Its delay begins now, once.
    count = { last = now, forgotten = count.forgotten - count.last + now }
    write(name, count)
  end
  return count
end

local function failures(count, rule, at)
  return math.min(math.ceil(math.max(count.forgotten - at, 0) / rule.leak), rule.most)
end

local function wait(name, rule)
  local count = read(name)
  if not count then return 0 end
  local last = math.min(count.last, now)
  local over = failures(count, rule, last) - rule.free - 1
  local delay = over < 0 and 0 or math.min(rule.first * 2 ^ over, rule.cap)
  return math.max(last + delay - now, 0)
end

local function count(name, rule)
  local before = read(name)
  local begin = before and math.max(before.forgotten, now) or now
  write(name, { last = now, forgotten = math.min(begin + rule.leak, now + rule.leak * rule.most) })
end

local function give_back(name, rule)
  local before = read(name)
  if not before then return end
  local forgotten = before.forgotten - rule.leak
  write(name, forgotten > before.last and { last = before.last, forgotten = forgotten } or nil)
end

local function settle(name, rule, outcome)
  if outcome == 'succeeded' then
    redis.call('DEL', name)
  elseif outcome == 'failed' then
    local before = read(name)
    if before then write(name, { last = now, forgotten = before.forgotten }) end
  else
    give_back(name, rule)
  end
end

local function remembers(name)
  local before = read(name)
  return before ~= nil and before.forgotten > now
end

-- The networks of the address, the narrowest first.

local function each_network(networks, use)
  for place, name in ipairs(NETWORKS) do
    use(name, networks[place])
  end
end

-- The longest wait, so that after it no network refuses.
local function network_wait(networks)
  local longest = 0
  each_network(networks, function(name, rule) longest = math.max(longest, wait(name, rule)) end)
  return longest
end

-- A quota: the moment at which all grants are free again.

local function read_quota(name, quota, longest)
  local free = tonumber(redis.call('GET', name) or nil)
  return free and math.min(free, now + longest + quota.every * quota.burst)
end

local function due(free, quota, earliest)
  return free and math.max(free - quota.every * (quota.burst - 1), earliest) or earliest
end

-- Takes the next grant where it is due within `longest`. Returns its time, and whether it was taken.
local function grant(name, quota, earliest, longest)
  local free = read_quota(name, quota, longest)
  local at = due(free, quota, earliest)
  if at > now + longest then return at, false end
  local after = (free and math.max(free, at) or at) + quota.every
  keep(name, text(after), after - now)
  return at, true
end

-- First guesses.

-- Returns the time of a first guess, where the login and each network have one left.
local function promise(earliest)
  for place, name in ipairs(SPENT) do
    local quota = rules.spent[place]
    if due(read_quota(name, quota, 0), quota, now) > now then return nil end
  end
  local at, is_taken = grant(SLOT_OF_LOGIN, rules.slot_of_login, earliest, rules.longest)
  if not is_taken then return nil end
  for place, name in ipairs(SPENT) do
    grant(name, rules.spent[place], now, rules.day)
  end
  return at
end

-- Returns how long to wait for the promised time, and for `delay` where none is promised.
local function first_guess(delay)
  local at = tonumber(redis.call('GET', PROMISE) or nil)
  at = at and math.min(at, now + rules.longest)
  if not at or now >= at + rules.kept then
    at = promise(now + delay)
    if not at then
      redis.call('DEL', PROMISE)
      return delay
    end
    keep(PROMISE, text(at), at - now + rules.kept)
    return math.max(at - now, 0), true
  end
  keep(PROMISE, text(at), at - now + rules.kept)
  return math.max(at - now, 0)
end

-- The operations.

local operations = {}

function operations.admit_login()
  if USER then
    local left = wait(GOOD, rules.good)
    if left > 0 then return left end
  end
  if DEVICE then
    local left = wait(DEVICES, rules.loose)
    if left == 0 then left = wait(DEVICE, rules.strict) end
    if left > 0 then return left end
    count(DEVICE, rules.strict)
    -- It counts for later attempts of strangers as well.
    for _, name in ipairs({ DEVICES, LOGIN, USER }) do count(name, rules.loose) end
    each_network(rules.logins, count)
    return -1
  end
  local account = USER or LOGIN
  if not NETWORKS[1] then
    local left = wait(account, rules.loose)
    if left > 0 then return left end
    count(account, rules.loose)
    return -1
  end
  local pair, known = PAIR_OF_LOGIN, KNOWN_OF_LOGIN
  if USER then pair, known = PAIR_OF_USER, KNOWN_OF_USER end
  if redis.call('EXISTS', known) == 0 then
    if not USER then
      local left = network_wait(rules.logins)
      if left > 0 then return left end
    end
    local delay = wait(account, rules.loose)
    if delay > 0 then
      if remembers(pair) then return delay end
      local left, is_new = first_guess(delay)
      if left > 0 or is_new then return left end
      if USER then
        local at, is_taken = grant(SLOT_OF_USER, rules.slot_of_user, now, 0)
        if not is_taken then return at - now end
      end
    end
  end
  local left = wait(pair, rules.strict)
  if left > 0 then return left end
  count(pair, rules.strict)
  count(account, rules.loose)
  if not USER then each_network(rules.logins, count) end
  return -1
end

function operations.settle_login(outcome)
  if outcome ~= 'failed' then
    give_back(LOGIN, rules.loose)
    if USER then give_back(USER, rules.loose) end
    if DEVICES then give_back(DEVICES, rules.loose) end
    each_network(rules.logins, give_back)
  end
  if DEVICE then settle(DEVICE, rules.strict, outcome) end
  if USER and outcome == 'succeeded' then count(GOOD, rules.good) end
  if not NETWORKS[1] then return -1 end
  local function settle_pair(pair, known)
    if not DEVICE then settle(pair, rules.strict, outcome) end
    if outcome == 'succeeded' then keep(known, '1', rules.known) end
  end
  settle_pair(PAIR_OF_LOGIN, KNOWN_OF_LOGIN)
  if USER then settle_pair(PAIR_OF_USER, KNOWN_OF_USER) end
  if outcome ~= 'undecided' then redis.call('DEL', PROMISE) end
  return -1
end

function operations.admit_register()
  local left = network_wait(rules.registrations)
  if left > 0 then return left end
  each_network(rules.registrations, count)
  return -1
end

function operations.settle_register(outcome)
  if outcome == 'undecided' then each_network(rules.registrations, give_back) end
  return -1
end

function operations.admit_change()
  local left = wait(USER, rules.loose)
  if left == 0 then left = wait(DEVICE, rules.strict) end
  if left > 0 then return left end
  count(DEVICE, rules.strict)
  count(USER, rules.loose)
  return -1
end

function operations.settle_change(outcome)
  settle(DEVICE, rules.strict, outcome)
  if outcome ~= 'failed' then give_back(USER, rules.loose) end
  return -1
end

-- As text, because Redis would cut the milliseconds of a fraction.
return text(operations[ARGV[1]](ARGV[2]))
