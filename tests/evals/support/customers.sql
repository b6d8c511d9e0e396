-- Four customers, as the shipped agents ask for them, and what the help pages say.
CREATE TABLE customer_overview (
  customer TEXT, contact TEXT, email TEXT, plan TEXT, account_status TEXT, customer_id TEXT,
  account_id TEXT, account_manager TEXT, response_minutes INTEGER, unpaid_invoices INTEGER,
  open_tickets INTEGER, api_url TEXT, role TEXT
);
INSERT INTO customer_overview VALUES
  ('Northwind', 'Nora Vale', 'nora@northwind.example', 'enterprise', 'active', 'cus-1', 'acc-1',
   'Kim Oduya', 30, 0, 0, NULL, 'owner'),
  ('Lumen Books', 'Ada Lind', 'ada@lumenbooks.example', 'pro', 'active', 'cus-2', 'acc-2',
   NULL, 240, 1, 0, NULL, 'owner'),
  ('Tiny Teas', 'Theo Marsh', 'theo@tinyteas.example', 'free', 'active', 'cus-3', 'acc-3',
   NULL, 1440, 0, 1, NULL, 'owner');

CREATE TABLE invoices (
  id TEXT, account_id TEXT, description TEXT, amount_cents INTEGER, currency TEXT, status TEXT,
  issued_on TEXT
);
INSERT INTO invoices VALUES
  ('inv-21', 'acc-2', 'Pro, November', 4900, 'EUR', 'paid', '2026-11-01'),
  ('inv-22', 'acc-2', 'Pro, November', 4900, 'EUR', 'paid', '2026-11-02');

CREATE TABLE tickets (
  id TEXT, customer_id TEXT, category TEXT, urgency TEXT, status TEXT, subject TEXT, opened_at TEXT
);
INSERT INTO tickets VALUES
  ('tic-9', 'cus-3', 'bug', 'normal', 'open', 'Chart stays empty', '2026-11-18T09:00:00Z');

CREATE TABLE help_articles (id TEXT, title TEXT, text TEXT, url TEXT);
INSERT INTO help_articles VALUES
  ('art-1', 'Export your orders as a CSV file',
   'Open Orders, choose Export, and pick CSV. The file arrives by e-mail within a minute.',
   'https://help.example/export-orders'),
  ('art-2', 'Invite a colleague to your account',
   'Open Settings, choose People, and enter their e-mail address.',
   'https://help.example/invite');
