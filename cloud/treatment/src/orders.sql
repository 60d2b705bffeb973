-- Orders of examinations and laboratory tests, their trail, what a doctor orders often, and the codes of public verification.
CREATE TABLE treatment_order(
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('exam', 'lab')),
    edition BIGINT NOT NULL,
    visit_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    patient_id TEXT NOT NULL,
    his_patient_id TEXT NOT NULL,
    doctor_id TEXT NOT NULL,
    doctor_code TEXT NOT NULL,
    doctor_name TEXT NOT NULL,
    doctor_title TEXT NOT NULL,
    department_code TEXT NOT NULL,
    department_name TEXT NOT NULL,
    lines TEXT NOT NULL,
    purpose_sealed BLOB NOT NULL,
    total_fen BIGINT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('draft', 'signed', 'open', 'refused', 'unknown', 'revoking', 'revoke_unknown', 'revoked')),
    written_at BIGINT NOT NULL,
    signed_at BIGINT,
    his_number TEXT,
    bill_id TEXT,
    bill_fen BIGINT,
    words TEXT,
    revoke_reason TEXT,
    verify_code TEXT,
    commands BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CHECK (state = 'draft' OR (signed_at IS NOT NULL AND verify_code IS NOT NULL)),
    CHECK (state <> 'open' OR his_number IS NOT NULL),
    CHECK (state NOT IN ('revoking', 'revoke_unknown') OR revoke_reason IS NOT NULL)
);
CREATE INDEX treatment_order_visit ON treatment_order(tenant_id, visit_id);
CREATE TABLE treatment_order_step(
    tenant_id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    command TEXT NOT NULL,
    from_state TEXT NOT NULL,
    to_state TEXT NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (tenant_id, order_id, seq)
);
CREATE TABLE treatment_order_habit(
    tenant_id TEXT NOT NULL,
    staff_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('exam', 'lab')),
    code TEXT NOT NULL,
    times BIGINT NOT NULL,
    starred BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, staff_id, kind, code)
);
CREATE TABLE treatment_verify_order(
    tenant_id TEXT NOT NULL,
    code TEXT NOT NULL,
    hospital_id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    PRIMARY KEY (tenant_id, code)
);
