-- The shop's customers; README.md says what the tables mean.
CREATE TABLE customers (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    domain TEXT NOT NULL UNIQUE,
    country TEXT NOT NULL,
    plan TEXT NOT NULL CHECK (plan IN ('enterprise', 'pro', 'free')),
    customer_since TEXT NOT NULL,
    account_manager TEXT
);

CREATE TABLE accounts (
    id TEXT PRIMARY KEY,
    customer_id TEXT NOT NULL REFERENCES customers (id),
    status TEXT NOT NULL CHECK (status IN ('active', 'suspended', 'closed')),
    region TEXT NOT NULL,
    seats INTEGER NOT NULL CHECK (seats > 0),
    monthly_cents INTEGER NOT NULL CHECK (monthly_cents >= 0),
    currency TEXT NOT NULL,
    response_minutes INTEGER,
    api_url TEXT NOT NULL
);

CREATE TABLE contacts (
    id TEXT PRIMARY KEY,
    customer_id TEXT NOT NULL REFERENCES customers (id),
    name TEXT NOT NULL,
    email TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL CHECK (role IN ('owner', 'billing', 'technical'))
);

CREATE TABLE invoices (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    description TEXT NOT NULL,
    amount_cents INTEGER NOT NULL,
    currency TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('paid', 'open', 'overdue', 'refunded')),
    issued_on TEXT NOT NULL,
    due_on TEXT NOT NULL,
    paid_on TEXT
);

CREATE TABLE tickets (
    id TEXT PRIMARY KEY,
    customer_id TEXT NOT NULL REFERENCES customers (id),
    contact_id TEXT NOT NULL REFERENCES contacts (id),
    category TEXT NOT NULL CHECK (category IN ('billing', 'bug', 'feature', 'question')),
    urgency TEXT NOT NULL CHECK (urgency IN ('low', 'normal', 'high', 'critical')),
    status TEXT NOT NULL CHECK (status IN ('open', 'waiting', 'solved')),
    subject TEXT NOT NULL,
    answer TEXT,
    opened_at TEXT NOT NULL,
    solved_at TEXT
);

CREATE TABLE incidents (
    id TEXT PRIMARY KEY,
    service TEXT NOT NULL,
    severity TEXT NOT NULL CHECK (severity IN ('minor', 'major', 'critical')),
    title TEXT NOT NULL,
    cause TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT NOT NULL
);

CREATE TABLE help_articles (
    id TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    url TEXT NOT NULL
);

CREATE INDEX accounts_by_customer ON accounts (customer_id);
CREATE INDEX contacts_by_customer ON contacts (customer_id);
CREATE INDEX invoices_by_account ON invoices (account_id);
CREATE INDEX tickets_by_customer ON tickets (customer_id);

CREATE VIEW customer_overview AS
SELECT
    contacts.email AS email,
    contacts.name AS contact,
    contacts.role AS role,
    customers.id AS customer_id,
    customers.name AS customer,
    customers.plan AS plan,
    customers.account_manager AS account_manager,
    accounts.id AS account_id,
    accounts.status AS account_status,
    accounts.response_minutes AS response_minutes,
    (SELECT count(*) FROM invoices
     WHERE invoices.account_id = accounts.id AND invoices.status IN ('open', 'overdue')) AS unpaid_invoices,
    (SELECT count(*) FROM tickets
     WHERE tickets.customer_id = customers.id AND tickets.status <> 'solved') AS open_tickets,
    accounts.api_url AS api_url
FROM contacts
JOIN customers ON customers.id = contacts.customer_id
JOIN accounts ON accounts.customer_id = customers.id;
