-- The review of each signed version of a record. Records signed before there was a review stay outside of it.
CREATE TABLE treatment_record_review(
    tenant_id TEXT NOT NULL,
    visit_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    doctor_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('in_review', 'approved', 'returned', 'superseded')),
    submitted_at BIGINT NOT NULL,
    reviewer_id TEXT,
    reviewer_name TEXT,
    decided_at BIGINT,
    reason_sealed BLOB,
    PRIMARY KEY (tenant_id, visit_id, version),
    CHECK (state NOT IN ('approved', 'returned') OR (reviewer_id IS NOT NULL AND decided_at IS NOT NULL)),
    CHECK (state <> 'returned' OR reason_sealed IS NOT NULL),
    CHECK (reviewer_id IS NULL OR reviewer_id <> doctor_id)
);
CREATE INDEX treatment_record_review_state ON treatment_record_review(tenant_id, state, submitted_at);
CREATE INDEX treatment_record_review_doctor ON treatment_record_review(tenant_id, doctor_id, state);
