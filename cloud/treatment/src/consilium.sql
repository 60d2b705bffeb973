-- Consilia: an expert of the hospital is asked about a visit. Question, summary, reasons and words of the judgement speak of
-- the patient, so they are sealed; the opinion itself is the signed document.
CREATE TABLE treatment_consilium(
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    request_key TEXT NOT NULL,
    visit_id TEXT NOT NULL,
    inviter_id TEXT NOT NULL,
    inviter_name TEXT NOT NULL,
    inviter_title TEXT NOT NULL,
    inviter_department TEXT NOT NULL,
    expert_id TEXT NOT NULL,
    expert_name TEXT NOT NULL,
    expert_title TEXT NOT NULL,
    expert_department TEXT NOT NULL,
    question_sealed BLOB NOT NULL,
    summary_sealed BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('invited', 'open', 'concluded', 'evaluated', 'declined', 'withdrawn', 'lapsed')),
    invited_at BIGINT NOT NULL,
    until BIGINT NOT NULL,
    accepted_at BIGINT,
    ended_at BIGINT,
    reason_sealed BLOB,
    score BIGINT,
    comment_sealed BLOB,
    evaluated_at BIGINT,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, inviter_id, request_key),
    CHECK (inviter_id <> expert_id),
    CHECK (state NOT IN ('open', 'concluded', 'evaluated') OR accepted_at IS NOT NULL),
    CHECK (state IN ('invited', 'open') OR ended_at IS NOT NULL),
    CHECK (state NOT IN ('declined', 'withdrawn') OR reason_sealed IS NOT NULL),
    CHECK (state <> 'evaluated' OR (score BETWEEN 1 AND 5 AND evaluated_at IS NOT NULL))
);
CREATE INDEX treatment_consilium_visit ON treatment_consilium(tenant_id, visit_id, invited_at);
CREATE INDEX treatment_consilium_expert ON treatment_consilium(tenant_id, expert_id, state, invited_at);
CREATE INDEX treatment_consilium_inviter ON treatment_consilium(tenant_id, inviter_id, invited_at);
CREATE INDEX treatment_consilium_until ON treatment_consilium(tenant_id, state, until);
CREATE TABLE treatment_consilium_step(
    tenant_id TEXT NOT NULL,
    consilium_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    command TEXT NOT NULL,
    to_state TEXT NOT NULL,
    PRIMARY KEY (tenant_id, consilium_id, seq)
);
