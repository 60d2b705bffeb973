CREATE TABLE nursing_part(
    tenant_id TEXT NOT NULL, order_id TEXT NOT NULL, seq BIGINT NOT NULL, nurse_id TEXT NOT NULL, nurse_name TEXT NOT NULL,
    started_at BIGINT NOT NULL, ended_at BIGINT NOT NULL, issue_id TEXT NOT NULL, handed_to TEXT NOT NULL,
    entered_by TEXT NOT NULL, entered_at BIGINT NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY (tenant_id, order_id, seq)
);
CREATE INDEX nursing_part_nurse ON nursing_part(tenant_id, nurse_id, ended_at);
