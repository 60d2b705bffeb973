CREATE TABLE nursing_derived(
    tenant_id TEXT NOT NULL, id TEXT NOT NULL, clip_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('probe', 'poster', 'strip', 'remux', 'salvage', 'proxy', 'export')),
    state TEXT NOT NULL CHECK (state IN ('wanted', 'making', 'made', 'failed')),
    derived_from TEXT NOT NULL, reason TEXT NOT NULL, from_ms BIGINT, to_ms BIGINT,
    report TEXT NOT NULL, fault TEXT NOT NULL, note TEXT NOT NULL, tools TEXT NOT NULL, blob_id TEXT,
    attempts BIGINT NOT NULL, progress BIGINT NOT NULL, wanted_by TEXT NOT NULL, wanted_at BIGINT NOT NULL,
    beat_at BIGINT NOT NULL, finished_at BIGINT,
    PRIMARY KEY (tenant_id, id),
    CHECK ((state = 'made' AND kind <> 'probe') = (blob_id IS NOT NULL))
);
CREATE UNIQUE INDEX nursing_derived_one ON nursing_derived(tenant_id, clip_id, kind) WHERE kind <> 'export';
CREATE INDEX nursing_derived_clip ON nursing_derived(tenant_id, clip_id, wanted_at);
CREATE INDEX nursing_derived_state ON nursing_derived(tenant_id, state, beat_at);
CREATE INDEX nursing_clip_recorder ON nursing_clip(tenant_id, serial, began_at);
