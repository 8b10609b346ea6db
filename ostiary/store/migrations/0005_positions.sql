-- How far each source has been judged: written together with what was decided from it.
CREATE TABLE position (
    name       TEXT PRIMARY KEY,
    entry      TEXT NOT NULL,
    place      TEXT NOT NULL,
    counters   TEXT NOT NULL,
    updated_ns INTEGER NOT NULL
) STRICT;
INSERT INTO pruned VALUES ('positions', 0);
