-- name: answer_of$
-- What was answered to an equal request since then.
SELECT answer FROM answers WHERE digest = :digest AND at_ms >= :since;

-- name: answer_put!
-- Keep what was answered.
INSERT INTO answers (digest, answer, at_ms) VALUES (:digest, :answer, :at)
ON CONFLICT (digest) DO UPDATE SET answer = excluded.answer, at_ms = excluded.at_ms;

-- name: answers_end!
-- Let go of old answers.
DELETE FROM answers WHERE at_ms < :before;
