-- Verdicts and moves of aliases.

-- name: promotions_last
-- Today's aliases of a model.
SELECT p.alias, p.version FROM promotions AS p
JOIN (SELECT max(id) AS id FROM promotions WHERE model = :model GROUP BY alias) AS l ON l.id = p.id
WHERE NOT EXISTS (SELECT 1 FROM withdrawn AS w WHERE w.promotion = p.id)
ORDER BY p.alias;

-- name: promotion_alias$
-- The version that an alias names today; none where it was taken away.
SELECT p.version FROM promotions AS p
WHERE p.id = (SELECT max(l.id) FROM promotions AS l WHERE l.model = :model AND l.alias = :alias)
  AND NOT EXISTS (SELECT 1 FROM withdrawn AS w WHERE w.promotion = p.id);

-- name: promotions_of_model
-- Every move of every alias of a model, oldest first.
SELECT model, alias, version, before, moved_by, reason, at, check_name, check_version, actor
FROM promotions WHERE model = :model ORDER BY id;

-- name: promotion_add!
-- An alias moves.
INSERT INTO promotions (model, alias, version, before, moved_by, reason, at, check_name, check_version, actor)
VALUES (:model, :alias, :version, :before, :moved_by, :reason, :at, :check_name, :check_version, :actor);

-- name: promotions_withdrawn
-- Aliases of a model that were taken away, oldest first: which, from which version, by whom, when.
SELECT p.alias, p.version, w.moved_by, w.at FROM withdrawn AS w JOIN promotions AS p ON p.id = w.promotion
WHERE p.model = :model ORDER BY w.at, p.id;

-- name: verdict_add!
-- What a check said of a model version.
INSERT INTO verdicts (check_name, check_version, model, model_version, passed, promotes, at, attempt)
VALUES (:check_name, :check_version, :model, :model_version, :passed, :promotes, :at, :attempt);

-- name: verdicts_of_model
-- Verdicts on a model, newest first; `number` null is every version.
SELECT check_name, check_version, model, model_version, passed, promotes, at, attempt
FROM verdicts WHERE model = :model AND model_version = coalesce(:number, model_version) ORDER BY id DESC;

-- name: verdict_of_attempt^
-- What an attempt at a check said.
SELECT check_name, check_version, model, model_version, passed, promotes, at, attempt FROM verdicts WHERE attempt = :attempt LIMIT 1;
