-- Sums over a period read its attempts alone, from the index: when, of which run and step, and what each took.
CREATE INDEX attempts_by_start ON attempts (started_at, step, run, energy_basis, status, wall_s, cpu_s, energy_joules, cost_usd);
