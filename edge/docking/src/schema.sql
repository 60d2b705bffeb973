CREATE TABLE docking_recorder(
    tenant_id TEXT NOT NULL, serial TEXT NOT NULL, model TEXT NOT NULL, hospital TEXT NOT NULL, listed BIGINT NOT NULL,
    reason TEXT NOT NULL, changed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, serial)
);
CREATE TABLE docking_issue(
    tenant_id TEXT NOT NULL, id TEXT NOT NULL, serial TEXT NOT NULL, holder TEXT NOT NULL, holder_name TEXT NOT NULL,
    order_no TEXT NOT NULL, issued_at BIGINT NOT NULL, returned_at BIGINT,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX docking_issue_serial ON docking_issue(tenant_id, serial, issued_at);
CREATE TABLE docking(
    tenant_id TEXT NOT NULL, id TEXT NOT NULL, serial TEXT NOT NULL, model TEXT NOT NULL, volume TEXT NOT NULL,
    place TEXT NOT NULL, state TEXT NOT NULL, note TEXT NOT NULL, arrived_at BIGINT NOT NULL, clock_offset_ms BIGINT,
    battery BIGINT, changed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX docking_open ON docking(tenant_id, state);
CREATE TABLE docking_clip(
    tenant_id TEXT NOT NULL, id TEXT NOT NULL, docking TEXT NOT NULL, recorder TEXT NOT NULL, path BLOB NOT NULL,
    file TEXT NOT NULL, size BIGINT NOT NULL, changed_ns BIGINT NOT NULL, state TEXT NOT NULL, tries BIGINT NOT NULL,
    note TEXT NOT NULL, taken_in TEXT, sm3 TEXT, sha256 TEXT, container TEXT, condition TEXT, recorded_at BIGINT,
    duration_ms BIGINT, copied_at BIGINT, sequence BIGINT, entry BLOB, entry_sha256 TEXT, cms TEXT, class TEXT,
    found_at BIGINT NOT NULL, changed_at BIGINT NOT NULL, purged_at BIGINT,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, sequence)
);
CREATE INDEX docking_clip_recorder ON docking_clip(tenant_id, recorder, state);
CREATE INDEX docking_clip_state ON docking_clip(tenant_id, state, found_at);
CREATE TABLE docking_trail(
    tenant_id TEXT NOT NULL, subject TEXT NOT NULL, step BIGINT NOT NULL, at BIGINT NOT NULL, did TEXT NOT NULL,
    state TEXT NOT NULL, note TEXT NOT NULL,
    PRIMARY KEY (tenant_id, subject, step)
);
CREATE TABLE docking_signer(
    tenant_id TEXT PRIMARY KEY, id TEXT NOT NULL, pin TEXT NOT NULL, organisation TEXT NOT NULL
);
