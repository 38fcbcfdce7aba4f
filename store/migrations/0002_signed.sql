-- To whom an account has sent which signed octets: the first two sets of recipients of each.

CREATE TABLE signed_octets (
	account    {{text}} NOT NULL REFERENCES users (id),
	digest     {{blob}} NOT NULL,
	audience   {{blob}} NOT NULL, -- digest of the set of recipients
	submission {{text}} NOT NULL REFERENCES submissions (id),
	time       {{int}} NOT NULL,
	PRIMARY KEY (account, digest, audience)
){{keyed}};

INSERT INTO signed_octets (account, digest, audience, submission, time)
SELECT account, digest, audience, id, time FROM (
	SELECT account, digest, audience, id, time, ROW_NUMBER() OVER (PARTITION BY account, digest ORDER BY time, id) AS place FROM (
		SELECT s.account AS account, d.signed_sha256 AS digest, s.audience AS audience, s.id AS id, s.time AS time,
			ROW_NUMBER() OVER (PARTITION BY s.account, d.signed_sha256, s.audience ORDER BY s.time, s.id) AS turn
		FROM documents d JOIN submissions s ON s.id = d.submission WHERE d.signed_sha256 IS NOT NULL
	) every WHERE turn = 1
) sets WHERE place <= 2;

DROP INDEX documents_signed;

{{refuse "UPDATE" "signed_octets" "" ""}}
{{refuse "DELETE" "signed_octets" "" ""}}
