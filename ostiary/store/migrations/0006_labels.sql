-- What people said of entities and evidence; a withdrawn label stays, with who withdrew it and when.
CREATE TABLE label (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    ts           INTEGER NOT NULL,
    said_ns      INTEGER NOT NULL,
    pseudonym    TEXT NOT NULL,
    malicious    INTEGER NOT NULL CHECK (malicious IN (0, 1)),
    whole        INTEGER NOT NULL CHECK (whole IN (0, 1)),
    cases        TEXT NOT NULL,
    note         TEXT NOT NULL,
    actor        TEXT NOT NULL,
    origin       TEXT NOT NULL,
    withdrawn_ns INTEGER NOT NULL,
    withdrawn_by TEXT NOT NULL
) STRICT;
CREATE INDEX label_by_pseudonym ON label (pseudonym);
INSERT INTO pruned VALUES ('labels', 0);
-- How far an entity lay from its nearest normal neighbours when it was judged.
ALTER TABLE entity ADD COLUMN nearest TEXT NOT NULL DEFAULT '[]';
