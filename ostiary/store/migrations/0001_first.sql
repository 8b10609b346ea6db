PRAGMA application_id = 0x4F535459; -- "OSTY": how we know our own file

CREATE TABLE run (
    number          INTEGER PRIMARY KEY AUTOINCREMENT,
    id              TEXT NOT NULL UNIQUE,
    started_ns      INTEGER NOT NULL,
    kind            TEXT NOT NULL CHECK (kind IN ('run', 'service')),
    sources         TEXT NOT NULL,
    settings_digest TEXT NOT NULL,
    policy_revision TEXT NOT NULL,
    model_revision  TEXT NOT NULL,
    finished_ns     INTEGER NOT NULL
) STRICT;

CREATE TABLE entity (
    run_id        TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    pseudonym     TEXT NOT NULL,
    kind          TEXT NOT NULL,
    ts            INTEGER NOT NULL,
    risk          REAL NOT NULL,
    level         TEXT NOT NULL,
    confidence    REAL NOT NULL,
    half_life_s   REAL NOT NULL,
    reasons       TEXT NOT NULL,
    texts         TEXT NOT NULL,
    contributions TEXT NOT NULL,
    verdict       TEXT NOT NULL,
    PRIMARY KEY (run_id, pseudonym)
) STRICT;
CREATE INDEX entity_by_risk ON entity (run_id, risk DESC, pseudonym);
CREATE INDEX entity_by_pseudonym ON entity (pseudonym);

CREATE TABLE decision (
    number          INTEGER PRIMARY KEY AUTOINCREMENT,
    id              TEXT NOT NULL,
    run_id          TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    ts              INTEGER NOT NULL,
    pseudonym       TEXT NOT NULL,
    verdict         TEXT NOT NULL,
    reasons         TEXT NOT NULL,
    obligations     TEXT NOT NULL,
    ttl_s           REAL NOT NULL,
    policy_revision TEXT NOT NULL,
    model_revision  TEXT NOT NULL,
    input_digest    TEXT NOT NULL,
    document        TEXT NOT NULL,
    reason          TEXT NOT NULL,
    text            TEXT NOT NULL,
    technique       TEXT NOT NULL,
    source          TEXT NOT NULL,
    seq             INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX decision_by_id ON decision (id, run_id);
CREATE INDEX decision_by_run ON decision (run_id);
CREATE INDEX decision_by_pseudonym ON decision (pseudonym);
CREATE INDEX decision_by_verdict ON decision (verdict);

CREATE TABLE action (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT NOT NULL,
    run_id      TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    decision_id TEXT NOT NULL,
    actuator    TEXT NOT NULL,
    pseudonym   TEXT NOT NULL,
    ts          INTEGER NOT NULL,
    lease_s     REAL NOT NULL,
    state       TEXT NOT NULL,
    reason      TEXT NOT NULL,
    impact      TEXT NOT NULL,
    undo        TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX action_by_id ON action (id, run_id);
CREATE INDEX action_by_run ON action (run_id);

CREATE TABLE pruned (
    kind  TEXT PRIMARY KEY,
    count INTEGER NOT NULL
) STRICT;
INSERT INTO pruned VALUES ('runs', 0), ('entities', 0), ('decisions', 0), ('actions', 0);
