-- The hospital's own books. All moments are Beijing time as text, all money fen.
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE counter (name TEXT PRIMARY KEY, n INTEGER NOT NULL);

CREATE TABLE dept (code TEXT PRIMARY KEY, name TEXT, parent TEXT, phone TEXT, descr TEXT, location TEXT, internet INTEGER);
CREATE TABLE doctor (code TEXT PRIMARY KEY, no TEXT, name TEXT, sex TEXT, title TEXT, level TEXT, skill TEXT, intro TEXT,
  dept TEXT, practice TEXT, reg_fee INTEGER, treat_fee INTEGER, lead INTEGER);
CREATE TABLE drug (code TEXT PRIMARY KEY, common TEXT, goods TEXT, pinyin TEXT, form TEXT, spec TEXT, unit TEXT, min_unit TEXT,
  pack INTEGER, dose_unit TEXT, dose_per_min TEXT, price INTEGER, maker TEXT, route TEXT, freq TEXT, routes TEXT,
  insurance_code TEXT, flags TEXT, class TEXT, stock INTEGER, status INTEGER);
CREATE TABLE herb (code TEXT PRIMARY KEY, name TEXT, pinyin TEXT, price_tenths INTEGER, decoction TEXT, max_dose INTEGER,
  toxic INTEGER, stock INTEGER, insurance_code TEXT, status INTEGER);
CREATE TABLE icd (code TEXT PRIMARY KEY, name TEXT, pinyin TEXT, type INTEGER);
CREATE TABLE route (code TEXT PRIMARY KEY, name TEXT, type INTEGER);
CREATE TABLE freq (code TEXT PRIMARY KEY, name TEXT, times TEXT);

CREATE TABLE patient (id TEXT PRIMARY KEY, card_no TEXT UNIQUE, name TEXT, sex TEXT, birth TEXT, id_type TEXT, id_no TEXT,
  mobile TEXT, address TEXT, pat_type TEXT, guard_name TEXT, guard_id_type TEXT, guard_id_no TEXT, guard_mobile TEXT,
  allergy TEXT, created_at TEXT, UNIQUE (id_type, id_no));
CREATE TABLE visit (id TEXT PRIMARY KEY, patient TEXT, at TEXT, dept TEXT, doctor TEXT, type INTEGER, complaint TEXT);
CREATE INDEX visit_patient ON visit (patient, at);
CREATE TABLE visit_diagnosis (visit TEXT, n INTEGER, code TEXT, name TEXT, main INTEGER, PRIMARY KEY (visit, n));
CREATE TABLE lab (id TEXT PRIMARY KEY, patient TEXT, name TEXT, specimen TEXT, dept TEXT, doctor TEXT, at TEXT, verified_at TEXT);
CREATE TABLE lab_item (lab TEXT, n INTEGER, code TEXT, name TEXT, result TEXT, unit TEXT, ref_range TEXT, abnormal INTEGER, PRIMARY KEY (lab, n));
CREATE TABLE exam (id TEXT PRIMARY KEY, patient TEXT, type INTEGER, name TEXT, dept TEXT, doctor TEXT, at TEXT, reported_at TEXT,
  part TEXT, method TEXT, situation TEXT, opinion TEXT, advice TEXT, has_image INTEGER);

CREATE TABLE session (work_id TEXT PRIMARY KEY, doctor TEXT, dept TEXT, date TEXT, flag INTEGER, stopped INTEGER, reg_fee INTEGER, treat_fee INTEGER);
CREATE TABLE slot (work_id TEXT, begin TEXT, finish TEXT, total INTEGER, PRIMARY KEY (work_id, begin));
CREATE TABLE reg (his_ord TEXT PRIMARY KEY, ps_ord TEXT, work_id TEXT, begin TEXT, patient TEXT, status INTEGER, released INTEGER,
  reg_fee INTEGER, treat_fee INTEGER, lock_expire TEXT, ordered_at TEXT, agt_ord TEXT, paid_at TEXT, pay_amount INTEGER,
  receipt TEXT, serial TEXT, ps_ref TEXT, agt_ref TEXT, his_ref TEXT, refunded_at TEXT, cancel_reason TEXT);
CREATE INDEX reg_ps ON reg (ps_ord);
CREATE INDEX reg_status ON reg (status, lock_expire);
CREATE INDEX reg_patient ON reg (patient);
CREATE INDEX reg_slot ON reg (work_id, begin);

CREATE TABLE recipe (id TEXT PRIMARY KEY, rx_no TEXT, visit TEXT, patient TEXT, type INTEGER, doctor TEXT, dept TEXT, at TEXT,
  status INTEGER, fee_id TEXT, total INTEGER, fu_count INTEGER, herb_usage TEXT, decoction INTEGER, ca_sign TEXT,
  pharmacist TEXT, audit_reason TEXT, audit_at TEXT, audit_sign TEXT, his_pay TEXT);
CREATE INDEX recipe_rx ON recipe (rx_no);
CREATE INDEX recipe_fee ON recipe (fee_id);
CREATE TABLE recipe_diagnosis (recipe TEXT, n INTEGER, code TEXT, name TEXT, main INTEGER, PRIMARY KEY (recipe, n));
CREATE TABLE recipe_item (recipe TEXT, n INTEGER, drug TEXT, name TEXT, spec TEXT, dose TEXT, dose_unit TEXT, route TEXT, freq TEXT,
  days TEXT, qty TEXT, qty_unit TEXT, price TEXT, amount INTEGER, remark TEXT, stock_qty INTEGER, PRIMARY KEY (recipe, n));
CREATE TABLE bill_pay (his_ord TEXT PRIMARY KEY, ps_ord TEXT, agt_ord TEXT, patient TEXT, fee_ids TEXT, amount INTEGER, receipt TEXT, barcode TEXT, paid_at TEXT);
CREATE TABLE bill_refund (his_ref TEXT PRIMARY KEY, his_ord TEXT, fee_id TEXT, ps_ref TEXT, agt_ref TEXT, amount INTEGER, reason TEXT, at TEXT);
CREATE TABLE ledger (n INTEGER PRIMARY KEY, at TEXT, kind TEXT, subject TEXT, his_ord TEXT, ps_ord TEXT, agt_ord TEXT,
  ps_ref TEXT, agt_ref TEXT, his_ref TEXT, amount INTEGER);
CREATE TABLE delivery (rx_no TEXT, his_ord TEXT, company TEXT, waybill TEXT, status TEXT, receiver TEXT, mobile TEXT, address TEXT,
  at TEXT, PRIMARY KEY (waybill, status));

CREATE TABLE notice (id TEXT PRIMARY KEY, work_id TEXT, reason TEXT, orders TEXT, soap_state TEXT, soap_tries INTEGER,
  mllp_state TEXT, mllp_tries INTEGER, made_at TEXT);
CREATE TABLE heard (app TEXT, facility TEXT, control_id TEXT, replies BLOB, at TEXT, PRIMARY KEY (app, facility, control_id));
