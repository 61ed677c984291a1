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
