CREATE TABLE nursing_taking(
    tenant_id TEXT NOT NULL, digest TEXT NOT NULL, object TEXT NOT NULL, since BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, digest)
);
CREATE INDEX nursing_taking_since ON nursing_taking(tenant_id, since);
