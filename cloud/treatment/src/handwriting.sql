-- A signature drawn before its PIN was set: shown to its owner, and taken over when the key is made.
CREATE TABLE treatment_handwriting(
    tenant_id TEXT NOT NULL,
    staff_id TEXT NOT NULL,
    picture_blob TEXT NOT NULL,
    drawn_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, staff_id)
);
