-- The personal fields of the input document, encrypted under the subject's key in the vault; empty in older rows, which
-- cannot be made again.
ALTER TABLE decision ADD COLUMN sealed BLOB NOT NULL DEFAULT x'';
CREATE INDEX decision_by_time ON decision (ts);
