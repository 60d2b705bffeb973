CREATE TABLE docking_firmware(
    tenant_id TEXT NOT NULL, id TEXT NOT NULL, version TEXT NOT NULL, sha256 TEXT NOT NULL, asked_by TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('asked', 'running', 'confirmed', 'given_up', 'refused', 'failed', 'cancelled')),
    note TEXT NOT NULL, package BLOB, asked_at BIGINT NOT NULL, changed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
