CREATE TABLE nursing_recorder(
    tenant_id TEXT NOT NULL, serial TEXT NOT NULL, model TEXT NOT NULL, note TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('stock', 'issued', 'retired', 'deleted')), listed BIGINT NOT NULL,
    created_at BIGINT NOT NULL, changed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, serial)
);
CREATE TABLE nursing_issue(
    tenant_id TEXT NOT NULL, id TEXT NOT NULL, serial TEXT NOT NULL, holder TEXT NOT NULL, holder_name TEXT NOT NULL,
    order_no TEXT NOT NULL, issued_at BIGINT NOT NULL, issued_by TEXT NOT NULL, returned_at BIGINT,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX nursing_issue_serial ON nursing_issue(tenant_id, serial, issued_at);
CREATE TABLE nursing_docking(
    tenant_id TEXT NOT NULL, id TEXT NOT NULL, appliance TEXT NOT NULL, serial TEXT NOT NULL, state TEXT NOT NULL,
    arrived_at BIGINT NOT NULL, changed_at BIGINT NOT NULL, report TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX nursing_docking_time ON nursing_docking(tenant_id, arrived_at);
CREATE TABLE nursing_clip(
    tenant_id TEXT NOT NULL, id TEXT NOT NULL, appliance TEXT NOT NULL, sequence BIGINT NOT NULL, docking TEXT NOT NULL,
    serial TEXT NOT NULL, holder TEXT NOT NULL, holder_name TEXT NOT NULL, order_no TEXT NOT NULL, file TEXT NOT NULL,
    size BIGINT NOT NULL, sm3 TEXT NOT NULL, sha256 TEXT NOT NULL, container TEXT NOT NULL, condition TEXT NOT NULL,
    began_at BIGINT NOT NULL, duration_ms BIGINT, entry BLOB NOT NULL, cms BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('received', 'missing', 'confirmed', 'refused')), note TEXT NOT NULL,
    blob_id TEXT, received_at BIGINT NOT NULL, confirmed_at BIGINT, cleared_at BIGINT,
    PRIMARY KEY (tenant_id, id),
    CHECK ((state = 'confirmed') = (blob_id IS NOT NULL))
);
CREATE INDEX nursing_clip_state ON nursing_clip(tenant_id, state, received_at);
CREATE INDEX nursing_clip_time ON nursing_clip(tenant_id, began_at);
CREATE INDEX nursing_clip_chain ON nursing_clip(tenant_id, appliance, sequence);
