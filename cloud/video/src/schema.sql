CREATE TABLE video_call(
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    visit_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('ringing', 'connected', 'ended')),
    doctor_id TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    accepted_at BIGINT,
    ended_at BIGINT,
    note TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CHECK (state <> 'connected' OR accepted_at IS NOT NULL),
    CHECK ((state = 'ended') = (ended_at IS NOT NULL))
);
CREATE INDEX video_call_visit ON video_call(tenant_id, visit_id, started_at);
CREATE TABLE video_recording(
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    visit_id TEXT NOT NULL,
    call_id TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('doctor', 'patient')),
    boot TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    blob_id TEXT,
    empty BIGINT NOT NULL,
    keep_until TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX video_recording_visit ON video_recording(tenant_id, visit_id);
CREATE INDEX video_recording_open ON video_recording(tenant_id, blob_id, empty);
