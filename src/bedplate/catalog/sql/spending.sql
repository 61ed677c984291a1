-- What is being spent, and what is set aside for what comes next.

-- name: spending_put!
-- A spender's row of an hour as it stands now.
INSERT INTO spending (spender, hour, kind, usd, held_usd, held_until, up_s, busy_s, energy_joules, energy_basis)
VALUES (:spender, :hour, :kind, :usd, :held_usd, :held_until, :up_s, :busy_s, :energy_joules, :energy_basis)
ON CONFLICT (spender, hour) DO UPDATE SET usd = excluded.usd, held_usd = excluded.held_usd, held_until = excluded.held_until,
    up_s = excluded.up_s, busy_s = excluded.busy_s, energy_joules = excluded.energy_joules, energy_basis = excluded.energy_basis;

-- name: spending_settle!
-- A run has ended: what its ended attempts carry is not needed here.
DELETE FROM spending WHERE spender = :run
    OR spender IN (SELECT id FROM attempts WHERE run = :run AND status <> 'running' AND cost_usd > 0);

-- name: spent_beside$
-- What was spent since a time and is in no ended attempt's cost, in US dollars.
SELECT coalesce(sum(s.usd), 0.0) FROM spending AS s WHERE s.hour >= :since
    AND NOT EXISTS (SELECT 1 FROM attempts AS a WHERE a.id = s.spender AND a.status <> 'running' AND a.cost_usd > 0);

-- name: held_beside$
-- What others have set aside and may still spend, in US dollars.
SELECT coalesce(sum(held_usd), 0.0) FROM spending WHERE spender <> :spender AND held_until > :now;
