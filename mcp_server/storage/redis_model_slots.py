"""Who runs at the model, in Redis: two sorted sets of seats, by when they run out."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mcp_server.llm.leases import Seat
from mcp_server.storage.redis_connections import RedisConnections
from mcp_server.storage.redis_scripts import Script

TAKE_SLOT = Script("""
local running, waiting, me = KEYS[1], KEYS[2], ARGV[1]
local now, most, patient_most = ARGV[2], tonumber(ARGV[5]), tonumber(ARGV[6])
redis.call('ZREMRANGEBYSCORE', running, '-inf', now)
redis.call('ZREMRANGEBYSCORE', waiting, '-inf', now)
local function put(key, seat, until_, ttl)
    redis.call('ZADD', key, until_, seat)
    if redis.call('PTTL', key) < tonumber(ttl) then redis.call('PEXPIRE', key, ttl) end
end
local function read(seat)
    local patient, since, caller = string.match(seat, '^(%d) (%S+) %S+ (.*)$')
    return tonumber(patient), tonumber(since), caller
end
local of, taken, patients = {}, 0, 0
for _, seat in ipairs(redis.call('ZRANGE', running, 0, -1)) do
    local patient, _, caller = read(seat)
    of[caller] = (of[caller] or 0) + 1
    taken = taken + 1
    patients = patients + patient
end
local function before(a, b)
    local patient_a, since_a, caller_a = read(a)
    local patient_b, since_b, caller_b = read(b)
    if patient_a ~= patient_b then return patient_a < patient_b end
    if (of[caller_a] or 0) ~= (of[caller_b] or 0) then return (of[caller_a] or 0) < (of[caller_b] or 0) end
    if since_a ~= since_b then return since_a < since_b end
    return a < b
end
local function may(seat) return patients < patient_most or read(seat) == 0 end
if redis.call('ZSCORE', running, me) then return 1 end
local mine = taken < most and may(me)
if mine then
    for _, seat in ipairs(redis.call('ZRANGE', waiting, 0, -1)) do
        if seat ~= me and may(seat) and before(seat, me) then mine = false end
    end
end
if not mine then
    put(waiting, me, ARGV[4], ARGV[8])
    return 0
end
redis.call('ZREM', waiting, me)
put(running, me, ARGV[3], ARGV[7])
return 1
""")
"""running, waiting; seat, now, until, waits until, most, most of the patient, ttl of running, ttl of waiting"""

HOLD_SLOTS = Script("""
for i = 3, #ARGV - 1 do redis.call('ZADD', KEYS[1], ARGV[1], ARGV[i]) end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
""")
"""running; until, ttl, then seats"""

GIVE_SLOT_BACK = Script("""
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
""")
"""running, waiting; seat"""


class RedisModelSlots:
    def __init__(self, connections: RedisConnections, prefix: str) -> None:
        self._redis = connections
        self._keys = [f"{prefix}model-slots", f"{prefix}model-waiting"]

    def take(self, seat: Seat, *, most: int, patient_most: int, now: float, until: float, waits_until: float) -> bool:
        arguments = (_member(seat), now, until, waits_until, most, patient_most, _ttl(until - now), _ttl(waits_until - now))
        return bool(self._redis.run(TAKE_SLOT, self._keys, arguments, repeatable=True))

    def hold(self, seats: Sequence[Seat], now: float, until: float) -> None:
        self._redis.run(HOLD_SLOTS, self._keys[:1], (until, _ttl(until - now), *map(_member, seats)), repeatable=True)

    def give_back(self, seat: Seat) -> None:
        self._redis.run(GIVE_SLOT_BACK, self._keys, (_member(seat),), repeatable=True)


def _member(seat: Seat) -> str:
    return f"{int(seat.patient)} {seat.since!r} {seat.seat_id} {seat.caller}"


def _ttl(seconds: float) -> int:
    return max(1, math.ceil(seconds * 1000))
