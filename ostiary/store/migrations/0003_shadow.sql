-- Where a second policy, which decides beside the active one, would have said something else.
CREATE TABLE shadow_difference (
    number          INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id          TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    decision_id     TEXT NOT NULL,
    ts              INTEGER NOT NULL,
    pseudonym       TEXT NOT NULL,
    route           TEXT NOT NULL,
    verdict         TEXT NOT NULL,
    shadow_verdict  TEXT NOT NULL,
    shadow_reason   TEXT NOT NULL,
    shadow_revision TEXT NOT NULL
) STRICT;
CREATE INDEX shadow_difference_by_run ON shadow_difference (run_id);

CREATE TABLE shadow_total (
    run_id          TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    shadow_revision TEXT NOT NULL,
    outcome         TEXT NOT NULL CHECK (outcome IN ('same', 'different', 'failed')),
    count           INTEGER NOT NULL,
    PRIMARY KEY (run_id, shadow_revision, outcome)
) STRICT;
INSERT INTO pruned VALUES ('shadow_differences', 0);
