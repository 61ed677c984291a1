-- Where a version came from and what was made of it, over every attempt that made or was handed it.

-- name: lineage_up
-- Every edge above a version: (upstream artifact, number, parameter, attempt, downstream artifact, number).
WITH RECURSIVE above (artifact, number) AS (
    SELECT artifact, number FROM versions WHERE artifact = :artifact AND number = :number
    UNION
    SELECT i.artifact, i.number FROM above AS d
    JOIN outputs AS o ON o.artifact = d.artifact AND o.number = d.number
    JOIN inputs AS i ON i.attempt = o.attempt AND i.number IS NOT NULL
)
SELECT i.artifact, i.number, i.parameter, min(i.attempt), o.artifact, o.number
FROM above AS d
JOIN outputs AS o ON o.artifact = d.artifact AND o.number = d.number
JOIN inputs AS i ON i.attempt = o.attempt AND i.number IS NOT NULL
GROUP BY i.artifact, i.number, i.parameter, o.artifact, o.number
ORDER BY o.artifact, o.number, i.parameter, i.number;

-- name: lineage_down
-- Every edge below a version, in the same columns.
WITH RECURSIVE below (artifact, number) AS (
    SELECT artifact, number FROM versions WHERE artifact = :artifact AND number = :number
    UNION
    SELECT o.artifact, o.number FROM below AS u
    JOIN inputs AS i ON i.artifact = u.artifact AND i.number = u.number
    JOIN outputs AS o ON o.attempt = i.attempt
)
SELECT i.artifact, i.number, i.parameter, min(i.attempt), o.artifact, o.number
FROM below AS u
JOIN inputs AS i ON i.artifact = u.artifact AND i.number = u.number
JOIN outputs AS o ON o.attempt = i.attempt
GROUP BY i.artifact, i.number, i.parameter, o.artifact, o.number
ORDER BY i.artifact, i.number, o.artifact, o.number, i.parameter;

-- name: lineage_sources
-- What the attempts that made a version read of their sources.
SELECT o.artifact, o.number, e.parameter, e.entries
FROM outputs AS o JOIN source_entries AS e ON e.attempt = o.attempt
WHERE o.artifact = :artifact AND o.number = :number ORDER BY e.attempt, e.parameter;

-- name: inputs_of_attempt
-- The versions that an attempt was handed.
SELECT DISTINCT artifact, number FROM inputs WHERE attempt = :attempt AND number IS NOT NULL ORDER BY artifact, number;

-- name: sources_of_attempt
-- What an attempt read of its sources.
SELECT parameter, entries FROM source_entries WHERE attempt = :attempt ORDER BY parameter;

-- name: lineage_above
-- What the newest attempts that made a version were handed: (artifact, number, parameter, step, run), the newest versions first.
SELECT i.artifact, i.number, min(i.parameter), max(t.step), max(t.run)
FROM inputs AS i JOIN attempts AS t ON t.id = i.attempt
WHERE i.number IS NOT NULL AND i.attempt IN (
    SELECT attempt FROM outputs WHERE artifact = :artifact AND number = :number ORDER BY attempt DESC LIMIT :attempts
)
GROUP BY i.artifact, i.number ORDER BY i.artifact, i.number DESC LIMIT :most;

-- name: lineage_below
-- What was made of a version, in the same columns.
SELECT o.artifact, o.number, min(i.parameter), max(t.step), max(t.run)
FROM inputs AS i JOIN outputs AS o ON o.attempt = i.attempt JOIN attempts AS t ON t.id = i.attempt
WHERE i.artifact = :artifact AND i.number = :number
GROUP BY o.artifact, o.number ORDER BY o.artifact, o.number DESC LIMIT :most;

-- name: sources_read
-- What the newest attempt at a version read of its sources: parameter, how long the list is, and the list where it is no longer than that.
SELECT e.parameter, length(e.entries), CASE WHEN length(e.entries) <= :most THEN e.entries ELSE '[]' END
FROM source_entries AS e
WHERE e.attempt = (SELECT max(o.attempt) FROM outputs AS o WHERE o.artifact = :artifact AND o.number = :number)
ORDER BY e.parameter;

-- name: sources_with
-- Of each source what its head has seen, and what was made then, where a name is in it.
SELECT o.artifact, o.number, e.entries
FROM source_heads AS h JOIN source_entries AS e ON e.attempt = h.attempt AND e.parameter = h.parameter
JOIN outputs AS o ON o.attempt = e.attempt
WHERE e.entries LIKE :name ESCAPE '\' ORDER BY o.artifact, o.number DESC LIMIT 50;

-- name: version_fact^
-- How large a version is, when and by which step of which run it was made, and whose run that is.
SELECT v.kind, v.rows, v.size_bytes, v.created_at, t.step, t.run, r.origin
FROM versions AS v JOIN attempts AS t ON t.id = v.attempt JOIN runs AS r ON r.id = t.run
WHERE v.artifact = :artifact AND v.number = :number;

-- name: versions_of_run
-- What the attempts of a run made, or made again.
SELECT DISTINCT o.artifact, o.number FROM attempts AS t JOIN outputs AS o ON o.attempt = t.id
WHERE t.run = :run ORDER BY o.artifact, o.number LIMIT :most;
