-- The PDF of each signed version of a record. The code of its public page is given when its turn comes, so that records
-- signed before there were PDFs get theirs like any other.
CREATE TABLE treatment_record_pdf(
    tenant_id TEXT NOT NULL,
    visit_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    signed_at BIGINT NOT NULL,
    verify_code TEXT,
    pdf_blob TEXT,
    pdf_sha256 TEXT,
    PRIMARY KEY (tenant_id, visit_id, version),
    CHECK (pdf_blob IS NULL OR (verify_code IS NOT NULL AND pdf_sha256 IS NOT NULL))
);
CREATE INDEX treatment_record_pdf_wanted ON treatment_record_pdf(tenant_id, pdf_blob, signed_at);
INSERT INTO treatment_record_pdf(tenant_id, visit_id, version, signed_at)
    SELECT r.tenant_id, r.visit_id, r.version, MIN(s.signed_at) FROM treatment_record r JOIN treatment_signature s
    ON s.tenant_id = r.tenant_id AND s.purpose = 'record' AND s.subject = r.visit_id || '/' || r.version
    GROUP BY r.tenant_id, r.visit_id, r.version;
CREATE TABLE treatment_verify_record(
    tenant_id TEXT NOT NULL,
    code TEXT NOT NULL,
    hospital_id TEXT NOT NULL,
    visit_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, code)
);
