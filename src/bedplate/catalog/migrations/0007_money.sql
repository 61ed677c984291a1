-- Sums over days are read from this index alone, in its order: nothing is sorted, and no attempt is looked up.
CREATE INDEX attempts_by_day ON attempts ((substr(started_at, 1, 10)), step, energy_basis, run, status, wall_s, cpu_s, energy_joules, cost_usd);
