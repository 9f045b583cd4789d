"""What must happen to a task in one step in Redis. As in redis_scripts.py the last argument is the run id."""

from __future__ import annotations

from mcp_server.storage.redis_scripts import Script

_PARTS = """
local function enqueue(key, queue, id, at)
    redis.call('ZADD', queue, at, id)
    local left = redis.call('PTTL', key)
    if left > redis.call('PTTL', queue) then redis.call('PEXPIRE', queue, left) end
end
local function ended(key, queue, unfinished, id)
    redis.call('HSET', key, 'lease', '', 'work', '')
    for _, field in ipairs(redis.call('HKEYS', key)) do
        if string.find(field, '^[qa]:') then redis.call('HDEL', key, field) end
    end
    redis.call('ZREM', queue, id)
    redis.call('ZREM', unfinished, id)
end
"""

CREATE_TASK = Script(_PARTS + """
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', ARGV[2])
if redis.call('ZCARD', KEYS[3]) >= tonumber(ARGV[3]) and not redis.call('ZSCORE', KEYS[3], ARGV[1]) then return 0 end
for i = 7, #ARGV - 1, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[6])
enqueue(KEYS[1], KEYS[2], ARGV[1], ARGV[4])
enqueue(KEYS[1], KEYS[3], ARGV[1], ARGV[5])
return 1
""")
"""task, queue, unfinished of the owner; id, now, most, when it may be claimed, when it expires, ttl, then field and value in turn"""

CLAIM_TASK = Script("""
while true do
    local id = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 1)[1]
    if not id then return false end
    local key = ARGV[4] .. id
    local expires_at = redis.call('HGET', key, 'expires_at')
    if expires_at and tonumber(expires_at) > tonumber(ARGV[1]) then
        redis.call('ZADD', KEYS[1], ARGV[2], id)
        redis.call('HSET', key, 'lease', ARGV[3])
        redis.call('HINCRBY', key, 'tries', 1)
        return {id, redis.call('HGETALL', key)}
    end
    redis.call('ZREM', KEYS[1], id)
end
""")
"""queue; now, until, lease, prefix of task keys → id and fields of the task that is claimed"""

HOLD_TASK = Script(_PARTS + """
local task = redis.call('HMGET', KEYS[1], 'lease', 'expires_at', 'tries')
if task[1] ~= ARGV[1] or tonumber(task[2]) <= tonumber(ARGV[2]) then return 0 end
for i = 6, #ARGV - 1, 2 do
    local asked = string.match(ARGV[i], '^q:(.*)')
    if not asked or redis.call('HEXISTS', KEYS[1], 'a:' .. asked) + redis.call('HEXISTS', KEYS[1], ARGV[i]) == 0 then
        redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
    end
end
if ARGV[5] == 'released' then redis.call('HSET', KEYS[1], 'tries', task[3] - 1) end
if ARGV[4] == '' then redis.call('ZREM', KEYS[2], ARGV[3]) else enqueue(KEYS[1], KEYS[2], ARGV[3], ARGV[4]) end
return 1
""")
"""task, queue; lease, now, id, when it may be claimed or empty for not at all, `released` or empty, then field and value in turn"""

FINISH_TASK = Script(_PARTS + """
local task = redis.call('HMGET', KEYS[1], 'lease', 'expires_at', 'owner')
if task[1] ~= ARGV[1] or tonumber(task[2]) <= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], 'status', ARGV[5], 'outcome', ARGV[6], 'message', ARGV[7], 'updated_at', ARGV[2])
ended(KEYS[1], KEYS[2], ARGV[4] .. task[3], ARGV[3])
return 1
""")
"""task, queue; lease, now, id, prefix of the owners' keys, status, outcome, message"""

CANCEL_TASK = Script(_PARTS + """
local task = redis.call('HMGET', KEYS[1], 'owner', 'expires_at', 'status')
if task[1] ~= ARGV[1] or tonumber(task[2]) <= tonumber(ARGV[2]) or (task[3] ~= 'working' and task[3] ~= 'input_required') then return 0 end
redis.call('HSET', KEYS[1], 'status', 'cancelled', 'message', '', 'updated_at', ARGV[2])
ended(KEYS[1], KEYS[2], KEYS[3], ARGV[3])
return 1
""")
"""task, queue, unfinished of the owner; owner, now, id"""

ANSWER_TASK = Script(_PARTS + """
local task = redis.call('HMGET', KEYS[1], 'owner', 'expires_at', 'status')
if task[1] ~= ARGV[1] or tonumber(task[2]) <= tonumber(ARGV[2]) or task[3] ~= 'input_required' then return 0 end
local taken = 0
for i = 4, #ARGV - 1, 2 do
    if redis.call('HDEL', KEYS[1], 'q:' .. ARGV[i]) == 1 then
        redis.call('HSET', KEYS[1], 'a:' .. ARGV[i], ARGV[i + 1])
        taken = taken + 1
    end
end
if taken == 0 then return 0 end
redis.call('HSET', KEYS[1], 'updated_at', ARGV[2])
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if string.find(field, '^q:') then return 1 end
end
redis.call('HSET', KEYS[1], 'status', 'working')
enqueue(KEYS[1], KEYS[2], ARGV[3], ARGV[2])
return 1
""")
"""task, queue; owner, now, id, then key and answer in turn → 1 when some were taken"""
