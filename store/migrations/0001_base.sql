-- People, the exchange, evidence, jobs, trust. Words in braces are the dialect's.
-- "keyed": the rows lie in their primary key, for small rows found by it.
-- Times are microseconds since 1970 UTC, 0 = none. Digests are SHA-256, 32 octets.

CREATE TABLE schema_version (version {{int}} PRIMARY KEY, applied {{int}} NOT NULL){{strict}};

{{prologue}}

-- people

CREATE TABLE users (
	id       {{text}} PRIMARY KEY,
	email    {{text}} NOT NULL,
	name     {{text}} NOT NULL,
	phone    {{text}} NOT NULL,
	language {{text}} NOT NULL,
	claimed  {{int}} NOT NULL,
	admin    {{int}} NOT NULL,
	password {{text}} NOT NULL, -- encoded hash; '' = none
	created  {{int}} NOT NULL
){{strict}};

CREATE TABLE addresses ( -- confirmed ones
	folded  {{text}} PRIMARY KEY,
	address {{text}} NOT NULL,
	account {{text}} NOT NULL REFERENCES users (id),
	place   {{int}} NOT NULL
){{keyed}};
CREATE INDEX addresses_account ON addresses (account, place);

CREATE TABLE certificates (sha256 {{blob}} PRIMARY KEY, der {{blob}} NOT NULL){{strict}};

CREATE TABLE user_certificates (
	account   {{text}} NOT NULL REFERENCES users (id),
	sha256    {{blob}} NOT NULL REFERENCES certificates (sha256),
	subject   {{text}} NOT NULL,
	issuer    {{text}} NOT NULL,
	serial    {{text}} NOT NULL,
	not_after {{int}} NOT NULL,
	added     {{int}} NOT NULL,
	PRIMARY KEY (account, sha256)
){{keyed}};

CREATE TABLE sessions (
	token       {{blob}} PRIMARY KEY, -- digest of the secret
	account     {{text}} NOT NULL REFERENCES users (id),
	consignment {{text}} NOT NULL,
	created     {{int}} NOT NULL,
	expires     {{int}} NOT NULL
){{keyed}};
CREATE INDEX sessions_account ON sessions (account);
CREATE INDEX sessions_expires ON sessions (expires);

CREATE TABLE tokens (
	kind    {{text}} NOT NULL,
	hash    {{blob}} NOT NULL,
	subject {{text}} NOT NULL,
	data    {{text}} NOT NULL,
	expires {{int}} NOT NULL,
	used    {{int}} NOT NULL,
	PRIMARY KEY (kind, hash)
){{keyed}};
CREATE INDEX tokens_expires ON tokens (expires);

CREATE TABLE failures (subject {{text}} NOT NULL, time {{int}} NOT NULL){{strict}};
CREATE INDEX failures_subject ON failures (subject, time);
CREATE INDEX failures_time ON failures (time);

-- the exchange

CREATE TABLE submissions (
	id          {{text}} PRIMARY KEY,
	account     {{text}} NOT NULL REFERENCES users (id),
	sender      {{text}} NOT NULL,
	sender_name {{text}} NOT NULL,
	time        {{int}} NOT NULL,
	repeats     {{text}} NOT NULL,
	sha256      {{blob}} NOT NULL, -- of the letter's wire bytes: the blob's name
	size        {{int}} NOT NULL,
	audience    {{blob}} NOT NULL, -- digest of the set of recipients
	envelope    {{text}} NOT NULL, -- JSON
	letter      {{text}} NOT NULL, -- JSON
	finding     {{text}} NOT NULL  -- JSON without documents and signatures
){{strict}};
CREATE INDEX submissions_account ON submissions (account, time, id);
CREATE INDEX submissions_sha256 ON submissions (sha256);

CREATE TABLE retry_keys (
	hash       {{blob}} PRIMARY KEY,
	submission {{text}} NOT NULL REFERENCES submissions (id),
	time       {{int}} NOT NULL
){{keyed}};

CREATE TABLE documents (
	submission    {{text}} NOT NULL REFERENCES submissions (id),
	place         {{int}} NOT NULL,
	sha256        {{blob}},
	signed_sha256 {{blob}},
	body          {{text}} NOT NULL, -- JSON
	PRIMARY KEY (submission, place)
){{keyed}};
CREATE INDEX documents_signed ON documents (signed_sha256);

CREATE TABLE signatures (
	submission  {{text}} NOT NULL REFERENCES submissions (id),
	place       {{int}} NOT NULL,
	sha256      {{blob}},
	certificate {{blob}} REFERENCES certificates (sha256),
	part        {{text}} NOT NULL, -- JSON: where it stands in the letter
	raw         {{blob}},
	body        {{text}} NOT NULL, -- JSON
	PRIMARY KEY (submission, place)
){{strict}};

CREATE TABLE consignments (
	id             {{text}} PRIMARY KEY,
	submission     {{text}} NOT NULL REFERENCES submissions (id),
	place          {{int}} NOT NULL,
	recipient      {{text}} NOT NULL,
	expires        {{int}} NOT NULL,
	link           {{blob}} UNIQUE, -- digest of the link's token
	state          {{text}} NOT NULL,
	received_by    {{text}} REFERENCES users (id),
	received_email {{text}} NOT NULL,
	received_at    {{int}} NOT NULL,
	grade          {{text}} NOT NULL,
	UNIQUE (submission, place)
){{strict}};
CREATE INDEX consignments_received ON consignments (received_by, received_at, id) WHERE received_by IS NOT NULL;

CREATE TABLE refusals (
	id      {{text}} PRIMARY KEY,
	account {{text}} NOT NULL REFERENCES users (id),
	sender  {{text}} NOT NULL,
	reason  {{text}} NOT NULL,
	words   {{text}} NOT NULL,
	time    {{int}} NOT NULL,
	sha256  {{blob}},
	size    {{int}} NOT NULL,
	finding {{text}} NOT NULL, -- JSON
	spool   {{text}} NOT NULL  -- '' once the bytes are gone
){{strict}};
CREATE INDEX refusals_account ON refusals (account, time, id);

CREATE TABLE machine_fetches (
	consignment {{text}} NOT NULL REFERENCES consignments (id),
	place       {{int}} NOT NULL,
	time        {{int}} NOT NULL,
	method      {{text}} NOT NULL,
	agent       {{text}} NOT NULL,
	PRIMARY KEY (consignment, place)
){{keyed}};

CREATE TABLE protocols (
	id          {{text}} PRIMARY KEY,
	account     {{text}} NOT NULL REFERENCES users (id),
	consignment {{text}} NOT NULL REFERENCES consignments (id),
	certificate {{blob}},
	body        {{blob}} NOT NULL,
	html        {{blob}},
	created     {{int}} NOT NULL,
	expires     {{int}} NOT NULL,
	signature   {{blob}},
	signed_with {{blob}} REFERENCES certificates (sha256),
	signed_at   {{int}} NOT NULL
){{strict}};
CREATE INDEX protocols_consignment ON protocols (consignment, account);

-- evidence

CREATE TABLE evidence (
	id      {{text}} PRIMARY KEY,
	event   {{text}} NOT NULL,
	time    {{int}} NOT NULL,
	subject {{text}} NOT NULL,
	attempt {{int}} NOT NULL,
	digest  {{blob}} NOT NULL, -- SHA-256(salt || record)
	UNIQUE (subject, event, attempt)
){{keyed}};
CREATE INDEX evidence_time ON evidence (time, id);

CREATE TABLE evidence_record (
	id     {{text}} PRIMARY KEY REFERENCES evidence (id),
	salt   {{blob}} NOT NULL,
	record {{text}} NOT NULL -- RFC 8785 JSON
){{strict}};

-- jobs

CREATE TABLE jobs (
	id         {{text}} PRIMARY KEY,
	kind       {{text}} NOT NULL,
	subject    {{text}} NOT NULL,
	payload    {{blob}},
	node       {{text}} NOT NULL, -- '' = any
	due        {{int}} NOT NULL,
	attempts   {{int}} NOT NULL,
	created    {{int}} NOT NULL,
	holder     {{text}} NOT NULL,
	lease      {{int}} NOT NULL,
	last_error {{text}} NOT NULL
){{strict}};
CREATE INDEX jobs_due ON jobs (node, kind, due, id);
CREATE INDEX jobs_lease ON jobs (lease) WHERE lease > 0;

-- trust and settings

CREATE TABLE anchors (
	sha256  {{blob}} PRIMARY KEY,
	der     {{blob}} NOT NULL,
	kind    {{text}} NOT NULL,
	subject {{text}} NOT NULL,
	added   {{int}} NOT NULL
){{strict}};

CREATE TABLE intermediates (
	sha256  {{blob}} PRIMARY KEY,
	der     {{blob}} NOT NULL,
	subject {{text}} NOT NULL,
	added   {{int}} NOT NULL
){{strict}};

CREATE TABLE crls (
	issuer      {{text}} PRIMARY KEY,
	sha256      {{blob}} NOT NULL,
	der         {{blob}} NOT NULL,
	number      {{text}} NOT NULL,
	this_update {{int}} NOT NULL,
	next_update {{int}} NOT NULL,
	added       {{int}} NOT NULL
){{strict}};

CREATE TABLE counters (name {{text}} PRIMARY KEY, value {{int}} NOT NULL){{strict}};
INSERT INTO counters (name, value) VALUES ('trust', 0);

CREATE TABLE audit (
	id     {{text}} PRIMARY KEY,
	time   {{int}} NOT NULL,
	actor  {{text}} NOT NULL,
	action {{text}} NOT NULL,
	detail {{text}} NOT NULL
){{strict}};
CREATE INDEX audit_time ON audit (time, id);

-- What counts is insert-only. refuse VERB TABLE COLUMNS WHEN.

{{refuse "UPDATE" "evidence" "" ""}}
{{refuse "DELETE" "evidence" "" ""}}
{{refuse "UPDATE" "evidence_record" "" ""}}
{{refuse "UPDATE" "submissions" "" ""}}
{{refuse "DELETE" "submissions" "" ""}}
{{refuse "UPDATE" "documents" "" ""}}
{{refuse "DELETE" "documents" "" ""}}
{{refuse "UPDATE" "signatures" "" ""}}
{{refuse "DELETE" "signatures" "" ""}}
{{refuse "UPDATE" "certificates" "" ""}}
{{refuse "DELETE" "certificates" "" ""}}
{{refuse "UPDATE" "consignments" "id, submission, place, recipient, expires, link" ""}}
{{refuse "UPDATE" "consignments" "received_by, received_email, received_at, grade" "OLD.received_at <> 0"}}
{{refuse "DELETE" "consignments" "" ""}}
{{refuse "UPDATE" "refusals" "id, account, sender, reason, words, time, sha256, size, finding" ""}}
{{refuse "DELETE" "refusals" "" ""}}
{{refuse "UPDATE" "protocols" "id, account, consignment, certificate, body, html, created, expires" ""}}
{{refuse "UPDATE" "protocols" "signature, signed_with, signed_at" "OLD.signature IS NOT NULL"}}
{{refuse "DELETE" "protocols" "" "OLD.signature IS NOT NULL"}}
{{refuse "UPDATE" "audit" "" ""}}
{{refuse "DELETE" "audit" "" ""}}
