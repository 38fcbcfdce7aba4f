-- What findings rest on from outside: lists, OCSP responses and fetched
-- certificates, each kept once in its exact octets.

CREATE TABLE revocation_objects (
	sha256     {{blob}} PRIMARY KEY,
	kind       {{text}} NOT NULL,
	source     {{text}} NOT NULL, -- the address it came from; '' = it was given
	der        {{blob}} NOT NULL,
	size       {{int}} NOT NULL,
	expires    {{int}} NOT NULL,
	first_seen {{int}} NOT NULL
){{strict}};
CREATE INDEX revocation_objects_expires ON revocation_objects (expires);

CREATE TABLE submission_revocation (
	submission {{text}} NOT NULL REFERENCES submissions (id),
	sha256     {{blob}} NOT NULL REFERENCES revocation_objects (sha256),
	PRIMARY KEY (submission, sha256)
){{keyed}};

{{refuse "UPDATE" "revocation_objects" "" ""}}
{{refuse "DELETE" "revocation_objects" "" ""}}
{{refuse "UPDATE" "submission_revocation" "" ""}}
{{refuse "DELETE" "submission_revocation" "" ""}}
