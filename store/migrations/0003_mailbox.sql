-- Mail as IMAP shows it. Whoever changes more than one mailbox first locks the
-- rows of mail_accounts, in the order of accounts; one mailbox alone is locked by
-- its own row, after everything else of the transaction.

CREATE TABLE settings (name {{text}} PRIMARY KEY, value {{text}} NOT NULL){{strict}}; -- each written once

CREATE TABLE mail_accounts (
	account  {{text}} PRIMARY KEY REFERENCES users (id),
	validity {{int}} NOT NULL, -- the UIDVALIDITY given last: no two mailboxes of an account ever have the same
	octets   {{int}} NOT NULL  -- of mails that are the user's own
){{keyed}};

CREATE TABLE mailboxes (
	id           {{text}} PRIMARY KEY,
	account      {{text}} NOT NULL REFERENCES mail_accounts (account),
	name         {{text}} NOT NULL,
	role         {{text}} NOT NULL, -- '' = made by the user
	uid_validity {{int}} NOT NULL,
	uid_next     {{int}} NOT NULL,
	modseq       {{int}} NOT NULL,
	pruned       {{int}} NOT NULL, -- tombstones up to this modseq may be gone
	subscribed   {{int}} NOT NULL,
	messages     {{int}} NOT NULL, -- counts over messages: this and the next three
	unseen       {{int}} NOT NULL,
	deleted      {{int}} NOT NULL,
	size         {{int}} NOT NULL,
	UNIQUE (account, name)
){{strict}};
CREATE UNIQUE INDEX mailboxes_role ON mailboxes (account, role) WHERE role <> '';

CREATE TABLE mails (
	id         {{text}} PRIMARY KEY,
	account    {{text}} NOT NULL REFERENCES users (id),
	home       {{text}} NOT NULL, -- role of the folder it belongs to; '' = the user's own
	submission {{text}} NOT NULL, -- '' = none
	sha256     {{blob}},          -- blob; NULL = all octets are in head
	blob_size  {{int}} NOT NULL,
	skip       {{int}} NOT NULL,  -- offset in the blob
	length     {{int}} NOT NULL,  -- octets of the blob
	size       {{int}} NOT NULL,
	message_id {{text}} NOT NULL,
	signed     {{blob}},
	outline    {{blob}} NOT NULL,
	head       {{blob}} NOT NULL
){{strict}};
CREATE INDEX mails_sent ON mails (account, message_id) WHERE home = 'sent';
CREATE INDEX mails_blob ON mails (sha256) WHERE home = '';

CREATE TABLE messages (
	mailbox  {{text}} NOT NULL REFERENCES mailboxes (id),
	uid      {{int}} NOT NULL,
	mail     {{text}} NOT NULL REFERENCES mails (id),
	size     {{int}} NOT NULL, -- of the mail
	internal {{int}} NOT NULL,
	added    {{int}} NOT NULL, -- the modseq it came with
	modseq   {{int}} NOT NULL,
	seen     {{int}} NOT NULL,
	deleted  {{int}} NOT NULL,
	flags    {{text}} NOT NULL, -- canonical, parted by spaces
	PRIMARY KEY (mailbox, uid)
){{keyed}};
CREATE INDEX messages_mail ON messages (mail);
CREATE INDEX messages_modseq ON messages (mailbox, modseq);
CREATE INDEX messages_deleted ON messages (mailbox, uid) WHERE deleted = 1;

-- The outlines of mails once more, in the order in which a client asks for those
-- of a whole mailbox; empty in place of a long one.
CREATE TABLE outlines (
	mailbox {{text}} NOT NULL,
	uid     {{int}} NOT NULL,
	outline {{blob}} NOT NULL,
	PRIMARY KEY (mailbox, uid)
){{keyed}};

CREATE TABLE tombstones (
	mailbox {{text}} NOT NULL REFERENCES mailboxes (id),
	modseq  {{int}} NOT NULL, -- of the expunge
	uid     {{int}} NOT NULL,
	added   {{int}} NOT NULL,
	time    {{int}} NOT NULL,
	PRIMARY KEY (mailbox, modseq, uid)
){{keyed}};
CREATE INDEX tombstones_time ON tombstones (time);

-- A mail never changes, and one that the exchange delivered is never removed:
-- expunging hides it.

{{refuse "UPDATE" "mails" "" ""}}
{{refuse "DELETE" "mails" "" "OLD.home <> ''"}}
