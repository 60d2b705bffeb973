CREATE TABLE treatment_record(
    tenant_id TEXT NOT NULL,
    visit_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    doctor_id TEXT NOT NULL,
    body_sealed BLOB NOT NULL,
    saved_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, visit_id, version)
);
CREATE TABLE treatment_prescription(
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    revision BIGINT NOT NULL,
    revises TEXT,
    edition BIGINT NOT NULL,
    visit_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    patient_id TEXT NOT NULL,
    his_patient_id TEXT NOT NULL,
    patient_masked TEXT NOT NULL,
    doctor_id TEXT NOT NULL,
    doctor_code TEXT NOT NULL,
    doctor_name TEXT NOT NULL,
    doctor_title TEXT NOT NULL,
    department_code TEXT NOT NULL,
    department_name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('western', 'herbal')),
    lines TEXT NOT NULL,
    herbal TEXT,
    total_fen BIGINT NOT NULL,
    state TEXT NOT NULL,
    written_at BIGINT NOT NULL,
    valid_until TEXT,
    pharmacist_id TEXT,
    pharmacist_name TEXT,
    pharmacist_title TEXT,
    reviewed_at BIGINT,
    opinion TEXT,
    his_number TEXT,
    bill_id TEXT,
    bill_fen BIGINT,
    fulfilment TEXT CHECK (fulfilment IN ('pickup', 'delivery')),
    address_sealed BLOB,
    pickup_code TEXT,
    courier TEXT,
    waybill TEXT,
    collect_at TEXT,
    his_order_number TEXT,
    appeal TEXT,
    verify_code TEXT,
    needs_hand TEXT,
    pdf_blob TEXT,
    pdf_sha256 TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CHECK (state IN ('draft', 'signed', 'in_review', 'approved', 'sent_to_his', 'awaiting_payment', 'paid', 'dispensing',
        'ready', 'shipped', 'collected', 'rejected', 'revised', 'appealed', 'revoked', 'expired')),
    CHECK (state = 'draft' OR valid_until IS NOT NULL),
    CHECK (state NOT IN ('approved', 'sent_to_his', 'awaiting_payment', 'paid', 'dispensing', 'ready', 'shipped', 'collected')
        OR (pharmacist_id IS NOT NULL AND verify_code IS NOT NULL)),
    CHECK (state NOT IN ('awaiting_payment', 'paid', 'dispensing', 'ready', 'shipped', 'collected')
        OR (his_number IS NOT NULL AND bill_id IS NOT NULL AND bill_fen IS NOT NULL)),
    CHECK (state NOT IN ('dispensing', 'ready', 'shipped', 'collected') OR fulfilment IS NOT NULL)
);
CREATE INDEX treatment_prescription_visit ON treatment_prescription(tenant_id, visit_id);
CREATE INDEX treatment_prescription_account ON treatment_prescription(tenant_id, account_id, created_at);
CREATE INDEX treatment_prescription_state ON treatment_prescription(tenant_id, state, created_at);
CREATE TABLE treatment_step(
    tenant_id TEXT NOT NULL,
    prescription_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    command TEXT NOT NULL,
    from_state TEXT NOT NULL,
    to_state TEXT NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (tenant_id, prescription_id, seq)
);
CREATE TABLE treatment_rejection(
    tenant_id TEXT NOT NULL,
    prescription_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    reasons TEXT NOT NULL,
    comment TEXT NOT NULL,
    by_name TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, prescription_id, seq)
);
CREATE TABLE treatment_signer(
    tenant_id TEXT NOT NULL,
    staff_id TEXT NOT NULL,
    certificate BLOB NOT NULL,
    certificate_serial TEXT NOT NULL,
    not_after BIGINT,
    picture_blob TEXT NOT NULL,
    enrolled_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, staff_id)
);
CREATE TABLE treatment_signing(
    tenant_id TEXT NOT NULL,
    key TEXT NOT NULL,
    purpose TEXT NOT NULL,
    subject TEXT NOT NULL,
    intent TEXT NOT NULL,
    signer_id TEXT NOT NULL,
    document_sealed BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'done', 'refused', 'invalid', 'abandoned')),
    begun_at BIGINT NOT NULL,
    settled_at BIGINT,
    PRIMARY KEY (tenant_id, key)
);
CREATE INDEX treatment_signing_open ON treatment_signing(tenant_id, subject, state);
CREATE TABLE treatment_signature(
    tenant_id TEXT NOT NULL,
    key TEXT NOT NULL,
    purpose TEXT NOT NULL,
    subject TEXT NOT NULL,
    signer_id TEXT NOT NULL,
    role TEXT NOT NULL,
    name TEXT NOT NULL,
    document_sealed BLOB NOT NULL,
    document_sm3 TEXT NOT NULL,
    cms BLOB NOT NULL,
    certificate_serial TEXT NOT NULL,
    signed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, key)
);
CREATE INDEX treatment_signature_subject ON treatment_signature(tenant_id, subject, purpose);
CREATE TABLE treatment_verify(
    tenant_id TEXT NOT NULL,
    code TEXT NOT NULL,
    hospital_id TEXT NOT NULL,
    prescription_id TEXT NOT NULL,
    PRIMARY KEY (tenant_id, code)
);
