-- The channel's own ledger. Money in fen.
CREATE TABLE IF NOT EXISTS trade (mchid TEXT, out_trade_no TEXT, prepay_id TEXT UNIQUE, asked TEXT, appid TEXT, description TEXT,
  attach TEXT, notify_url TEXT, total INTEGER, time_expire TEXT, state TEXT, transaction_id TEXT, success_time TEXT,
  created_at TEXT, PRIMARY KEY (mchid, out_trade_no));
CREATE TABLE IF NOT EXISTS refund (mchid TEXT, out_refund_no TEXT, refund_id TEXT UNIQUE, out_trade_no TEXT, transaction_id TEXT,
  amount INTEGER, total INTEGER, reason TEXT, notify_url TEXT, status TEXT, ends_as TEXT, due_ms INTEGER, created_at TEXT,
  success_time TEXT, PRIMARY KEY (mchid, out_refund_no));
CREATE TABLE IF NOT EXISTS movement (n INTEGER PRIMARY KEY, at TEXT, kind TEXT, mchid TEXT, out_trade_no TEXT, transaction_id TEXT,
  out_refund_no TEXT, refund_id TEXT, amount INTEGER);
CREATE TABLE IF NOT EXISTS notice (id TEXT PRIMARY KEY, mchid TEXT, event_type TEXT, url TEXT, plain TEXT, subject TEXT, state TEXT,
  due_ms INTEGER, tries INTEGER, answers TEXT, created_at TEXT);
