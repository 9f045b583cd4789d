"""What must happen in one step in Redis. The last argument of each script is the run id of the Redis it runs in.

Numbers are compared as numbers and stored as they came, so that no digit of a time is lost.
"""

from __future__ import annotations

import hashlib


class Script:
    """A Lua script, and the digest by which Redis knows it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


ADD_RECORD = Script("""
local key, ttl = KEYS[1], ARGV[1]
for i = 2, #ARGV - 1, 2 do redis.call('HSET', key, ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', key, ttl)
""")
"""key; ttl, then field and value in turn"""

ADD_TURN = Script("""
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], -tonumber(ARGV[2]), -1)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
""")
"""chat; turn, how many are kept, ttl"""

ADD_CODE = Script("""
if redis.call('EXISTS', KEYS[1]) == 1 then return end
for i = 2, #ARGV - 1, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
""")
"""code; ttl, then field and value in turn"""

ADD_GRANT = Script("""
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[5])
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[3])
if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[2], ARGV[2]) end
""")
"""grant, the subject's grants; record, ttl, grant id, expires_at, now"""

GRANTS_OF = Script("""
local found = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], '+inf')) do
    local record = redis.call('GET', ARGV[2] .. id)
    if record then found[#found + 1] = record end
end
return found
""")
"""the subject's grants; now, prefix of grant keys → records"""

CLAIM_CODE = Script("""
local code = redis.call('HMGET', KEYS[1], 'expires_at', 'claimed')
if not code[1] or tonumber(code[1]) <= tonumber(ARGV[1]) or code[2] == '1' then return 0 end
redis.call('HSET', KEYS[1], 'claimed', '1')
return 1
""")
"""code; now"""

ADD_DEVICE = Script("""
local other = redis.call('GET', KEYS[2])
if other and other ~= ARGV[3] then
    local good_until = redis.call('HGET', ARGV[2] .. other, 'codes_expire_at')
    if good_until and tonumber(good_until) > tonumber(ARGV[1]) then return 0 end
end
for i = 6, #ARGV - 1, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[5])
return 1
""")
"""device, user code; now, prefix of device keys, the device code's digest, ttl of each, then field and value in turn"""

DEVICE_OF_USER_CODE = Script("""
local digest = redis.call('GET', KEYS[1])
if not digest then return false end
return redis.call('HMGET', ARGV[1] .. digest, unpack(ARGV, 2, #ARGV - 1))
""")
"""user code; prefix of device keys, names of fields → their values"""

DECIDE = Script("""
local digest = redis.call('GET', KEYS[1])
if not digest then return 0 end
local key = ARGV[2] .. digest
local device = redis.call('HMGET', key, 'codes_expire_at', 'approved')
if not device[1] or tonumber(device[1]) <= tonumber(ARGV[1]) or device[2] ~= '' then return 0 end
redis.call('HSET', key, 'approved', ARGV[3], 'subject', ARGV[4], 'grant_id', ARGV[5])
return 1
""")
"""user code; now, prefix of device keys, approved, subject, grant_id"""

POLL = Script("""
local device = redis.call('HMGET', KEYS[1], 'polled_at', 'interval')
if not device[2] then return 1 end
local early = device[1] and tonumber(device[1]) + tonumber(device[2]) - tonumber(ARGV[2]) > tonumber(ARGV[1])
redis.call('HSET', KEYS[1], 'polled_at', ARGV[1])
if not early then return 1 end
redis.call('HINCRBY', KEYS[1], 'interval', ARGV[3])
return 0
""")
"""device; now, leeway, seconds to add"""

CLAIM_DEVICE = Script("""
local device = redis.call('HMGET', KEYS[1], 'codes_expire_at', 'approved', 'claimed')
if not device[1] or tonumber(device[1]) <= tonumber(ARGV[1]) or device[2] ~= '1' or device[3] == '1' then return 0 end
redis.call('HSET', KEYS[1], 'claimed', '1')
return 1
""")
"""device; now"""

CLAIM_ONCE = Script("""
local taken_until = redis.call('GET', KEYS[1])
if taken_until and tonumber(taken_until) > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
""")
"""id; now, until, ttl"""

SETTLE = Script("""
local settled = redis.call('HMGET', KEYS[1], 'until', 'answer', 'at')
if settled[1] and tonumber(settled[1]) > tonumber(ARGV[1]) then return {settled[2], settled[3]} end
redis.call('HSET', KEYS[1], 'until', ARGV[2], 'answer', ARGV[4], 'at', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {ARGV[4], ARGV[1]}
""")
"""question; now, until, ttl, answer → the first answer, and when it was given"""

ROTATE = Script("""
local now, grace = tonumber(ARGV[1]), tonumber(ARGV[2])
local old = redis.call('HMGET', KEYS[1], 'expires_at', 'rotated_at', 'dead', 'successor')
if not old[1] or tonumber(old[1]) <= now then return 'unknown' end
if old[3] == '1' then return 'reused' end
local outcome = 'rotated'
if old[2] == '' then
    redis.call('HSET', KEYS[1], 'rotated_at', ARGV[1])
else
    if grace <= 0 or now - tonumber(old[2]) > grace or not old[4] then return 'reused' end
    local former = ARGV[3] .. old[4]
    local unused = redis.call('HMGET', former, 'expires_at', 'rotated_at', 'dead')
    if not unused[1] or tonumber(unused[1]) <= now or unused[2] ~= '' or unused[3] == '1' then return 'reused' end
    redis.call('HSET', former, 'dead', '1')
    outcome = 'repeated'
end
redis.call('HSET', KEYS[1], 'successor', ARGV[4])
redis.call('HSET', KEYS[2], 'record', ARGV[5], 'expires_at', ARGV[6], 'rotated_at', ARGV[7], 'dead', ARGV[8])
redis.call('PEXPIRE', KEYS[2], ARGV[9])
return outcome
""")
"""token, successor; now, grace, prefix of token keys, the successor's digest, record, expires_at, rotated_at, dead, ttl"""

PUT_REVOCATIONS = Script("""
for i, key in ipairs(KEYS) do
    local known = redis.call('GET', key)
    if not known or tonumber(known) < tonumber(ARGV[2 * i - 1]) then
        redis.call('SET', key, ARGV[2 * i - 1], 'PX', ARGV[2 * i])
    end
end
return ARGV[#ARGV]
""")
"""ids; until and ttl of each in turn → run id"""

MARK_COMPLETE = Script("""
if ARGV[1] ~= '' and ARGV[1] ~= ARGV[3] then return 0 end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[2])
return 1
""")
"""marker; run id that the copy was put into, ttl"""

ADMIT = Script("""
local now, counted = tonumber(ARGV[1]), tonumber(ARGV[2])
local last = #KEYS - counted
local revoked = 0
if last > 1 and redis.call('EXISTS', unpack(KEYS, 2, last)) > 0 then
    for i = 2, last do
        local revoked_until = redis.call('GET', KEYS[i])
        if revoked_until and tonumber(revoked_until) > now then revoked = 1 end
    end
end
local complete = redis.call('GET', KEYS[1]) == ARGV[4] and 1 or 0
local hits = 0
if counted == 1 then
    local answer = redis.pcall('INCR', KEYS[#KEYS])
    if type(answer) == 'number' then
        hits = answer
        if hits == 1 then redis.call('PEXPIRE', KEYS[#KEYS], ARGV[3]) end
    elseif not (string.find(answer.err, 'OOM', 1, true) or string.find(answer.err, 'READONLY', 1, true)
                or string.find(answer.err, 'MISCONF', 1, true)) then
        return answer
    end
end
return {revoked, complete, hits}
""")
"""marker, ids, the counter's window; now, 1 to count or 0, ttl. A Redis that takes no writes still says what is revoked"""

GET_ALL = Script("""
local found = {}
for i, key in ipairs(KEYS) do found[i] = redis.call('GET', key) end
return found
""")
"""keys; → values"""

CHAINS = Script("""
local found, seen, waiting, i = {}, {}, {}, 1
for each, key in ipairs(KEYS) do waiting[each] = key end
while waiting[i] do
    local key = waiting[i]
    if not seen[key] then
        seen[key] = true
        local token = redis.call('HMGET', key, 'record', 'rotated_at', 'dead', 'successor')
        found[#found + 1] = {key, token}
        if ARGV[2] == '1' and token[4] then waiting[#waiting + 1] = ARGV[1] .. token[4] end
    end
    i = i + 1
end
return found
""")
"""tokens; prefix of token keys, 1 to add their successors → key and fields of each"""

APPEND = Script("""
local time = redis.call('TIME')
local oldest = time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[2]
local position = redis.call('XADD', KEYS[1], 'MINID', '~', string.format('%.0f', oldest), '*', 'c', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return position
""")
"""journal; content, milliseconds that an entry is kept → position. What is older than that is dropped, the rest with the last entry"""

SUBSCRIBE = Script("""
local others = 0
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if string.sub(field, 1, 4) == 'uri:' and field ~= ARGV[1] then others = others + 1 end
end
if others >= tonumber(ARGV[4]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
""")
"""session; field, value, ttl, most → 1, or 0 when it has as many as it may have"""

SEE = Script("""
local known = redis.call('HMGET', KEYS[1], 'digest', 'changed_at')
local first, changed_at = 0, known[2] or ''
if known[1] ~= ARGV[1] then
    if known[1] then first, changed_at = 1, ARGV[2] end
    redis.call('HSET', KEYS[1], 'digest', ARGV[1], 'changed_at', changed_at)
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {first, changed_at}
""")
"""listing; digest, now, ttl → whether it is the first to find it changed, and when it changed or an empty text"""
