-- How often a person has asked the HIS again about a prescription: numbers the repeats, so that each is a command of its own.
ALTER TABLE treatment_prescription ADD COLUMN retries BIGINT NOT NULL DEFAULT 0;
