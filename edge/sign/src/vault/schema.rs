//! Tables. Forward only: a released column is never changed or dropped.

pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS kek (id INTEGER PRIMARY KEY CHECK (id = 1), sealed TEXT NOT NULL, made_at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS authority (
  organisation TEXT PRIMARY KEY, root BLOB NOT NULL, root_key BLOB NOT NULL, issuing BLOB NOT NULL,
  issuing_key BLOB NOT NULL, seal_root BLOB NOT NULL, seal_root_key BLOB NOT NULL, seal BLOB NOT NULL,
  seal_key BLOB NOT NULL, made_at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS signer (
  id TEXT PRIMARY KEY, organisation TEXT NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL, certificate BLOB NOT NULL,
  wrapped BLOB NOT NULL, salt BLOB NOT NULL, tries_left INTEGER NOT NULL CHECK (tries_left >= 0),
  enrolled_at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS signer_root (id TEXT PRIMARY KEY, wrapped BLOB NOT NULL, made_at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS signer_wrapping (
  signer TEXT PRIMARY KEY REFERENCES signer, root TEXT NOT NULL REFERENCES signer_root) STRICT;
CREATE TABLE IF NOT EXISTS journal (
  key TEXT PRIMARY KEY, act TEXT NOT NULL, signer TEXT NOT NULL, digest BLOB NOT NULL, cms BLOB NOT NULL,
  serial TEXT NOT NULL, signed_at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS log (
  seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, act TEXT NOT NULL, subject TEXT NOT NULL, detail TEXT NOT NULL,
  hash BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS log_at ON log (at);
CREATE TABLE IF NOT EXISTS checkpoint (
  number INTEGER PRIMARY KEY, seq INTEGER NOT NULL, hash BLOB NOT NULL, at INTEGER NOT NULL, signature BLOB NOT NULL,
  settled INTEGER NOT NULL CHECK (settled IN (0, 1))) STRICT;
CREATE TABLE IF NOT EXISTS clock (id INTEGER PRIMARY KEY CHECK (id = 1), last_seen INTEGER NOT NULL) STRICT;

CREATE TABLE IF NOT EXISTS server_key (
  key_index INTEGER PRIMARY KEY CHECK (key_index > 0), label TEXT NOT NULL, algorithm TEXT NOT NULL,
  custody TEXT NOT NULL, reference TEXT NOT NULL, wrapped BLOB, public_key BLOB NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('generated', 'certified', 'active', 'retired', 'destroyed')),
  access_code BLOB, made_at INTEGER NOT NULL, changed_at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS server_key_purpose (
  key_index INTEGER PRIMARY KEY REFERENCES server_key, purpose TEXT NOT NULL CHECK (purpose IN ('sign', 'encrypt'))) STRICT;
CREATE TABLE IF NOT EXISTS server_certificate (
  key_index INTEGER NOT NULL REFERENCES server_key, number INTEGER NOT NULL, certificate BLOB NOT NULL,
  chain BLOB NOT NULL, imported_at INTEGER NOT NULL, PRIMARY KEY (key_index, number)) STRICT;
CREATE TABLE IF NOT EXISTS application (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)), policy TEXT NOT NULL,
  secret BLOB, made_at INTEGER NOT NULL, changed_at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS application_certificate (
  fingerprint BLOB PRIMARY KEY, application TEXT NOT NULL REFERENCES application, certificate BLOB NOT NULL,
  added_at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS chain (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, settings TEXT NOT NULL, made_at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS chain_certificate (
  chain TEXT NOT NULL REFERENCES chain, fingerprint BLOB NOT NULL, certificate BLOB NOT NULL,
  added_at INTEGER NOT NULL, PRIMARY KEY (chain, fingerprint)) STRICT;
CREATE TABLE IF NOT EXISTS certificate (
  fingerprint BLOB PRIMARY KEY, serial TEXT NOT NULL, subject TEXT NOT NULL, issuer TEXT NOT NULL,
  not_before INTEGER NOT NULL, not_after INTEGER NOT NULL, algorithm TEXT NOT NULL, note TEXT NOT NULL,
  certificate BLOB NOT NULL, imported_at INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS certificate_serial ON certificate (serial);
CREATE TABLE IF NOT EXISTS account (
  id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, person TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('administrator', 'operator', 'auditor')),
  state TEXT NOT NULL CHECK (state IN ('active', 'disabled', 'removed')),
  salt BLOB NOT NULL, password BLOB NOT NULL, change_password INTEGER NOT NULL CHECK (change_password IN (0, 1)),
  totp BLOB, totp_last INTEGER NOT NULL, made_at INTEGER NOT NULL, changed_at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS account_certificate (
  fingerprint BLOB PRIMARY KEY, account TEXT NOT NULL REFERENCES account, certificate BLOB NOT NULL,
  added_at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS attempt (
  name BLOB PRIMARY KEY, wrong INTEGER NOT NULL, locked_until INTEGER NOT NULL, changed_at INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS attempt_changed ON attempt (changed_at);
CREATE TABLE IF NOT EXISTS tls_identity (
  name TEXT PRIMARY KEY CHECK (name IN ('manage', 'service', 'service-sm')), wrapped BLOB NOT NULL, chain BLOB NOT NULL,
  own INTEGER NOT NULL CHECK (own IN (0, 1)), made_at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS custody_group (
  id BLOB PRIMARY KEY, needed INTEGER NOT NULL CHECK (needed >= 2), wrapped BLOB NOT NULL, made_at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS custodian (
  custody_group BLOB NOT NULL REFERENCES custody_group, number INTEGER NOT NULL CHECK (number BETWEEN 1 AND 255),
  name TEXT NOT NULL, share BLOB, taken_at INTEGER, PRIMARY KEY (custody_group, number)) STRICT;
CREATE TABLE IF NOT EXISTS revoked_certificate (
  fingerprint BLOB PRIMARY KEY, issuer BLOB NOT NULL, serial TEXT NOT NULL, subject TEXT NOT NULL,
  reason INTEGER NOT NULL, revoked_at INTEGER NOT NULL, revoked_by TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS own_list (
  issuer BLOB PRIMARY KEY, name TEXT NOT NULL UNIQUE, number INTEGER NOT NULL, issued_at INTEGER NOT NULL,
  list BLOB NOT NULL, entries INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS answer (
  number INTEGER PRIMARY KEY AUTOINCREMENT, application TEXT NOT NULL, key TEXT NOT NULL, digest BLOB NOT NULL,
  body BLOB NOT NULL, at INTEGER NOT NULL, UNIQUE (application, key)) STRICT;
CREATE INDEX IF NOT EXISTS answer_at ON answer (at);
CREATE TABLE IF NOT EXISTS request_mark (application TEXT PRIMARY KEY, until INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS replica_peer (
  id TEXT PRIMARY KEY, introduction TEXT NOT NULL, name TEXT NOT NULL, url TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('source', 'follower')),
  state TEXT NOT NULL CHECK (state IN ('proposed', 'approved', 'ended')),
  judged TEXT NOT NULL CHECK (judged IN ('certificate', 'people')), proposed_by TEXT NOT NULL, approved_by TEXT NOT NULL,
  number INTEGER NOT NULL, digest BLOB NOT NULL, settled_at INTEGER, trouble TEXT NOT NULL, made_at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS replica_signer (signer TEXT PRIMARY KEY, digest BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS outside_signer (
  signer TEXT PRIMARY KEY, server TEXT NOT NULL, key_index INTEGER NOT NULL, identification TEXT NOT NULL,
  chain BLOB NOT NULL, state TEXT NOT NULL CHECK (state IN ('waiting', 'used', 'changed', 'locked', 'ended')),
  held INTEGER NOT NULL CHECK (held IN (0, 1)), password BLOB, seen BLOB, bound_by TEXT NOT NULL, bound_at INTEGER NOT NULL,
  changed_at INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS outside_signer_server ON outside_signer (server);
CREATE TABLE IF NOT EXISTS outside_root (
  fingerprint BLOB PRIMARY KEY, server TEXT NOT NULL, root BLOB NOT NULL, added_at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS outside_use (
  server TEXT NOT NULL, begins INTEGER NOT NULL, asked INTEGER NOT NULL, made INTEGER NOT NULL, refused INTEGER NOT NULL,
  wrong INTEGER NOT NULL, PRIMARY KEY (server, begins)) STRICT;
CREATE TABLE IF NOT EXISTS stamp_serial (id INTEGER PRIMARY KEY CHECK (id = 1), next INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL, changed_at INTEGER NOT NULL) STRICT;
";
