-- Due work and what is being spent. Nothing here is deleted but what attempts that ended carry themselves.

-- Since when a step has the schedule that it has: occurrences are counted from there, anew when it is edited.
CREATE TABLE schedules (
    step TEXT PRIMARY KEY,
    schedule TEXT NOT NULL,
    since TEXT NOT NULL
) STRICT;

-- Every decision of due work. `mark` says which occurrence of its kind it is (a time, a fingerprint, an event, a version); one row stands
-- for all that were missed in a row. `fence` is that of the lease under which it runs.
CREATE TABLE occurrences (
    step TEXT NOT NULL,
    kind TEXT NOT NULL,
    mark TEXT NOT NULL,
    due_at TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    run TEXT NOT NULL,
    tries INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    decided_at TEXT NOT NULL,
    ended_at TEXT,
    PRIMARY KEY (step, kind, mark)
) STRICT;
CREATE INDEX occurrences_by_time ON occurrences (step, kind, due_at);
CREATE INDEX occurrences_by_status ON occurrences (status);
CREATE INDEX occurrences_by_decision ON occurrences (decided_at);

-- What is being spent: an attempt that runs has a row, its run one for what it sets aside, a service one for each hour. `usd` is spent
-- (once the attempt has ended, its own cost counts instead), `held_usd` set aside for what comes next, until `held_until`.
CREATE TABLE spending (
    spender TEXT NOT NULL,
    hour TEXT NOT NULL,
    kind TEXT NOT NULL,
    usd REAL NOT NULL,
    held_usd REAL NOT NULL,
    held_until TEXT NOT NULL,
    up_s REAL NOT NULL,
    busy_s REAL NOT NULL,
    energy_joules REAL NOT NULL,
    energy_basis TEXT NOT NULL,
    PRIMARY KEY (spender, hour)
) STRICT;
CREATE INDEX spending_by_hour ON spending (hour);
