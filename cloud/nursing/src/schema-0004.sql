CREATE TABLE nursing_order(
    tenant_id TEXT NOT NULL, id TEXT NOT NULL, no TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('requested', 'assigned', 'accepted', 'taken', 'started', 'finished', 'declined', 'cancelled')),
    service TEXT NOT NULL, planned_at BIGINT NOT NULL,
    patient_sealed BLOB NOT NULL, patient_masked TEXT NOT NULL, patient_name_index TEXT NOT NULL,
    patient_number_index TEXT NOT NULL, phone_index TEXT NOT NULL,
    nurse_id TEXT NOT NULL, nurse_name TEXT NOT NULL, recorder TEXT NOT NULL, issue_id TEXT NOT NULL,
    record_sealed BLOB, created_at BIGINT NOT NULL, changed_at BIGINT NOT NULL, started_at BIGINT, finished_at BIGINT,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX nursing_order_no ON nursing_order(tenant_id, no);
CREATE INDEX nursing_order_nurse ON nursing_order(tenant_id, nurse_id, planned_at);
CREATE INDEX nursing_order_planned ON nursing_order(tenant_id, planned_at);
CREATE INDEX nursing_order_phone ON nursing_order(tenant_id, phone_index);
CREATE INDEX nursing_order_patient ON nursing_order(tenant_id, patient_name_index);
CREATE TABLE nursing_order_day(
    tenant_id TEXT NOT NULL, day TEXT NOT NULL, last BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, day)
);
CREATE TABLE nursing_order_step(
    tenant_id TEXT NOT NULL, order_id TEXT NOT NULL, seq BIGINT NOT NULL, step TEXT NOT NULL, state TEXT NOT NULL,
    at BIGINT NOT NULL, actor TEXT NOT NULL, actor_name TEXT NOT NULL, note TEXT NOT NULL,
    PRIMARY KEY (tenant_id, order_id, seq)
);
CREATE TABLE nursing_track(
    tenant_id TEXT NOT NULL, order_id TEXT NOT NULL, batch TEXT NOT NULL, from_at BIGINT NOT NULL, to_at BIGINT NOT NULL,
    positions BIGINT NOT NULL, clock_ahead_ms BIGINT NOT NULL, body_sealed BLOB NOT NULL, received_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, order_id, batch)
);
CREATE TABLE nursing_alarm(
    tenant_id TEXT NOT NULL, id TEXT NOT NULL, press TEXT NOT NULL, order_id TEXT NOT NULL,
    nurse_id TEXT NOT NULL, nurse_name TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('raised', 'acknowledged', 'closed')), place_sealed BLOB,
    pressed_at BIGINT NOT NULL, raised_at BIGINT NOT NULL, acknowledged_at BIGINT, acknowledged_by TEXT NOT NULL,
    closed_at BIGINT, closed_by TEXT NOT NULL, note TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX nursing_alarm_press ON nursing_alarm(tenant_id, nurse_id, press);
CREATE INDEX nursing_alarm_state ON nursing_alarm(tenant_id, state, raised_at);
CREATE INDEX nursing_alarm_order ON nursing_alarm(tenant_id, order_id, raised_at);
CREATE TABLE nursing_form_head(
    tenant_id TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL, retired_at BIGINT,
    PRIMARY KEY (tenant_id, id)
);
CREATE TABLE nursing_form(
    tenant_id TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL, name TEXT NOT NULL, services TEXT NOT NULL,
    body TEXT NOT NULL, made_at BIGINT NOT NULL, made_by TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id, version)
);
CREATE TABLE nursing_answer(
    tenant_id TEXT NOT NULL, order_id TEXT NOT NULL, revision BIGINT NOT NULL, form_id TEXT NOT NULL,
    form_version BIGINT NOT NULL, body_sealed BLOB NOT NULL, score BIGINT, verdict TEXT NOT NULL,
    filled_at BIGINT NOT NULL, filled_by TEXT NOT NULL,
    PRIMARY KEY (tenant_id, order_id, revision)
);
