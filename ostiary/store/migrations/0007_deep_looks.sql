-- What a deep look into an entity's packets found, in words, pseudonymised and masked.
CREATE TABLE deep_look (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id      TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    ts          INTEGER NOT NULL,
    pseudonym   TEXT NOT NULL,
    decision_id TEXT NOT NULL,
    facts       TEXT NOT NULL,
    problem     TEXT NOT NULL
) STRICT;
CREATE INDEX deep_look_by_pseudonym ON deep_look (pseudonym);
CREATE INDEX deep_look_by_run ON deep_look (run_id);
INSERT INTO pruned VALUES ('deep_looks', 0);
