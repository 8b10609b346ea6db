-- What the evidence behind a decision rests on, and the case that would have made it innocent.
ALTER TABLE decision ADD COLUMN innocent TEXT NOT NULL DEFAULT '';
ALTER TABLE decision ADD COLUMN facts TEXT NOT NULL DEFAULT '[]';
