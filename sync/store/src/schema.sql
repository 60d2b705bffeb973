CREATE TABLE store_tenant(
    tenant_id TEXT PRIMARY KEY
);
CREATE TABLE store_stream(
    tenant_id TEXT NOT NULL,
    peer TEXT NOT NULL,
    lane BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    last_seq BIGINT NOT NULL,
    acked_seq BIGINT NOT NULL CHECK (acked_seq >= 0 AND acked_seq <= last_seq),
    PRIMARY KEY (tenant_id, peer, lane)
);
CREATE TABLE store_outbox(
    tenant_id TEXT NOT NULL,
    peer TEXT NOT NULL,
    lane BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    kind TEXT NOT NULL,
    entity TEXT NOT NULL,
    at BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (tenant_id, peer, lane, seq)
);
CREATE TABLE store_cursor(
    tenant_id TEXT NOT NULL,
    peer TEXT NOT NULL,
    lane BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, peer, lane)
);
CREATE TABLE store_parked(
    tenant_id TEXT NOT NULL,
    peer TEXT NOT NULL,
    lane BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    kind TEXT NOT NULL,
    entity TEXT NOT NULL,
    at BIGINT NOT NULL,
    body TEXT NOT NULL,
    reason TEXT NOT NULL,
    parked_at BIGINT NOT NULL,
    settled_at BIGINT,
    note TEXT,
    PRIMARY KEY (tenant_id, peer, lane, epoch, seq)
);
CREATE TABLE store_gap(
    tenant_id TEXT NOT NULL,
    peer TEXT NOT NULL,
    lane BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    first_seq BIGINT NOT NULL,
    last_seq BIGINT NOT NULL,
    reason TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, peer, lane, epoch, first_seq)
);
