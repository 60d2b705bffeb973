CREATE TABLE fleet_appliance (
  tenant_id TEXT NOT NULL,
  serial TEXT NOT NULL,
  edge_id TEXT NOT NULL,
  board TEXT NOT NULL,
  ek_sha256 TEXT NOT NULL,
  ek_certificate TEXT,
  claim_sha256 TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('manufactured','claimed','attested','active','suspended','revoked')),
  hospital TEXT,
  made_at BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, serial),
  CHECK (state IN ('manufactured','revoked') OR hospital IS NOT NULL)
);
CREATE UNIQUE INDEX fleet_appliance_edge ON fleet_appliance (tenant_id, edge_id);
CREATE UNIQUE INDEX fleet_appliance_ek ON fleet_appliance (tenant_id, ek_sha256);
CREATE UNIQUE INDEX fleet_appliance_claim ON fleet_appliance (tenant_id, claim_sha256);
CREATE TABLE fleet_certificate (
  tenant_id TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  certificate_serial TEXT NOT NULL,
  serial TEXT NOT NULL,
  not_before BIGINT NOT NULL,
  not_after BIGINT NOT NULL,
  revoked_at BIGINT,
  PRIMARY KEY (tenant_id, fingerprint)
);
CREATE INDEX fleet_certificate_appliance ON fleet_certificate (tenant_id, serial);
CREATE TABLE fleet_challenge (
  tenant_id TEXT NOT NULL,
  id TEXT NOT NULL,
  serial TEXT NOT NULL,
  secret_sha256 TEXT NOT NULL,
  nonce BLOB NOT NULL,
  ak BLOB NOT NULL,
  device_key BLOB NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, id)
);
CREATE TABLE fleet_history (
  tenant_id TEXT NOT NULL,
  serial TEXT NOT NULL,
  seq BIGINT NOT NULL,
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,
  step TEXT NOT NULL,
  state TEXT NOT NULL,
  note TEXT NOT NULL,
  PRIMARY KEY (tenant_id, serial, seq)
);
