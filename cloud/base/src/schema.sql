CREATE TABLE base_hospital(
    tenant_id TEXT PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    edge_id TEXT UNIQUE,
    created_at BIGINT NOT NULL
);
CREATE TABLE base_setting(
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    changed_at BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    PRIMARY KEY (tenant_id, name)
);
CREATE TABLE base_account(
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    phone_sealed BLOB NOT NULL,
    phone_index TEXT NOT NULL,
    phone_masked TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, phone_index)
);
CREATE TABLE base_phone_code(
    tenant_id TEXT NOT NULL,
    phone_index TEXT NOT NULL,
    code_hash TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, phone_index)
);
CREATE TABLE base_staff(
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    login TEXT NOT NULL,
    name TEXT NOT NULL,
    roles TEXT NOT NULL,
    title TEXT NOT NULL,
    department_code TEXT NOT NULL,
    department_name TEXT NOT NULL,
    his_code TEXT NOT NULL,
    password TEXT NOT NULL,
    password_changed_at BIGINT NOT NULL,
    totp_sealed BLOB NOT NULL,
    totp_step BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    locked_until BIGINT,
    disabled_at BIGINT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, login)
);
CREATE TABLE base_ticket(
    tenant_id TEXT NOT NULL,
    hash TEXT NOT NULL,
    staff_id TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, hash)
);
CREATE TABLE base_session(
    tenant_id TEXT NOT NULL,
    hash TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('patient', 'staff')),
    subject_id TEXT NOT NULL,
    device TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at BIGINT,
    PRIMARY KEY (tenant_id, hash)
);
CREATE INDEX base_session_subject ON base_session(tenant_id, subject_id);
CREATE TABLE base_throttle(
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    window_start BIGINT NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, name)
);
CREATE TABLE base_audit_head(
    tenant_id TEXT PRIMARY KEY,
    seq BIGINT NOT NULL,
    hash TEXT NOT NULL
);
CREATE TABLE base_audit(
    tenant_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (tenant_id, seq)
);
CREATE INDEX base_audit_subject ON base_audit(tenant_id, subject);
CREATE TABLE base_blob(
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    digest TEXT NOT NULL,
    mime TEXT NOT NULL,
    size BIGINT NOT NULL,
    purpose TEXT NOT NULL,
    owner TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE TABLE base_blob_reader(
    tenant_id TEXT NOT NULL,
    blob_id TEXT NOT NULL,
    reader TEXT NOT NULL,
    PRIMARY KEY (tenant_id, blob_id, reader)
);
CREATE TABLE base_sms(
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    phone_sealed BLOB NOT NULL,
    template TEXT NOT NULL,
    params TEXT NOT NULL,
    tries BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    settled_at BIGINT,
    outcome TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX base_sms_due ON base_sms(tenant_id, settled_at, next_at);
