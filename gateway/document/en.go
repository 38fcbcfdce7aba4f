package document

import "cryptogramm.ru/cryptogramm/store/rem"

func english() *words {
	return &words{
		Lang: "en",
		Months: [12]string{"January", "February", "March", "April", "May", "June", "July",
			"August", "September", "October", "November", "December"},
		Bytes: [3]string{"byte", "bytes", "bytes"},
		Yes:   "yes", No: "no",
		Footer: "All times are Coordinated Universal Time (UTC). Names, file names and subjects are shown as the sender or the certificate gives them; invisible and text-reordering characters are written out as ‹U+…›.",

		ProtocolTitle: "Signature verification protocol", ReportTitle: "Report on a consignment",
		ProtocolOf: "No.", ReportOf: "Letter",
		ReportForSender: "for the sender: all recipients", ReportForRecipient: "for the recipient: himself and the sender",
		PreviewMark:      "Preview: not recorded",
		PreviewResult:    "Preview only",
		PreviewText:      "This page is for reading only. No certificate was chosen, nothing was recorded, and it proves nothing to anybody.",
		Statement:        "At the time given under \"made\" the recipient named here had the gateway check the electronic signatures of the documents listed here, with the results listed here. By signing the exact bytes of this file with the certificate given under \"recipient_certificate\" the recipient confirms that this check was made and what it found. That signature expresses no agreement with the content of the documents.",
		PreviewStatement: "This is a preview. No certificate of the recipient was chosen and nothing was recorded. It must not be signed and proves nothing.",
		SignedNote:       "The recipient has signed this protocol; the gateway has checked the signature and recorded it.",
		UnsignedNote:     "This protocol counts as recorded only together with the recipient's signature over it, once the gateway has accepted that signature.",
		Checker:          "Who checks", CheckerIntro: "The recipient chose this certificate for signing the protocol.",
		PreviewIntro: "The recipient has chosen no certificate.",
		Consignment:  "Consignment", Documents: "Documents", Signatures: "Signatures",
		NotSigned: "What is not signed", NotSignedIntro: "The signatures above do not cover the following. It could have been changed without any of them becoming wrong:",
		NothingOpen:    "Everything that is shown is covered by a signature.",
		UncoveredIntro: "The following is shown to the reader as part of the letter and would have to be signed, but is not:",
		Rules:          "Rules of the check", Meaning: "What this protocol means",
		HowTo:      "How to check this protocol yourself",
		HowToIntro: "The recipient signs the file protocol.json, whose SHA-256 is given here; this page shows the same content. With the signature saved as protocol.p7s and the authority's certificate as ca.pem, OpenSSL checks the signature without the gateway:",
		Recipients: "Recipients", RecipientsOwn: "Recipient",
		NoEvents: "Nothing is recorded yet.", NoDocuments: "The letter holds no documents.", NoSignatures: "There is no signature.",
		SubmissionPart: "Sending",

		Gateway: "Gateway", ID: "Protocol number", Made: "Made", Address: "E-mail", Name: "Name", Subject: "Subject",
		Issuer: "Issuer", Serial: "Serial number", CertificateDigest: "SHA-256 of the certificate", CertificateSubject: "Certificate of",
		ConsignmentID: "Consignment", SubmissionID: "Letter", Sender: "Sender", Recipient: "Recipient",
		LetterSubject: "Subject", LetterDate: "Date in the letter", LetterReceived: "Received by the gateway",
		LetterDigest: "SHA-256 of the letter", LetterDateNote: "Stated by the sender; not proven.",
		LetterDigestNote: "Of the exact bytes that the sender submitted.", MessageID: "Message-ID", LetterSize: "Size of the letter",
		MediaType: "Type", Size: "Size", FileDigest: "SHA-256 of the file", SignedDigest: "SHA-256 of the signed bytes",
		SignedDigestNote: "The signature was made over these bytes: they differ from the file where a whole letter or a container was signed.",
		SignedBy:         "Signatures", NotSignedShort: "not signed", NoteBadge: "covering text",
		Format: "Format", Algorithm: "Algorithm", Signer: "Signer", Email: "E-mail in the certificate",
		NoEmail: "none", AnchorKind: "Trust",
		ClaimedTime: "Signing time claimed", ClaimedNote: "Stated by the signer; not proven.",
		NoClaimedTime: "none", JudgedAt: "Certificate judged at", JudgedNote: "The certificate had to be valid at this time.",
		Result: "Result", Covers: "What it signs", Place: "Where it stands", SignatureDigest: "SHA-256 of the signature", Bound: "Bound to the sender",
		AnchorNotPassed: "The authority is known to this gateway, but the signature did not pass and counts for nothing.",
		LetterItself:    "the letter itself", NoCertificate: "No certificate of the signer", Checks: "What was checked", Detail: "Detail", Reason: "Reason",
		RuleSigner: "Who must sign", RuleRevocation: "Unknown revocation", RuleBare: "Signatures without signed attributes accepted",
		AcceptanceEvidence: "Evidence of acceptance", Accepted: "Accepted by the gateway", Expires: "The link works until", Evidence: "Evidence", By: "By",
		Repeats: "Sent before", RepeatsNote: "The same signed bytes were sent earlier to other recipients with this letter.",
		Grade: "How it was confirmed", ProtocolID: "Protocol",
		ProtocolDigest: "SHA-256 of the protocol", SignedAt: "Signed by the recipient", CheckedResult: "Result of the recipient's check",
		SignatureNumber: "No.",

		Verdicts:        englishVerdicts(),
		Indications:     englishIndications(),
		SubIndications:  englishSubIndications(),
		Reasons:         englishReasons(),
		Statuses:        map[string]string{"passed": "passed", "failed": "failed", "indeterminate": "not decided"},
		CheckNames:      englishChecks(),
		AnchorKinds:     englishAnchorKinds(),
		Formats:         map[string]string{"CMS": "CMS (RFC 5652)", "CAdES-BES": "CAdES-BES (CMS, the signer's certificate is fixed by the signature)"},
		Bindings:        map[string]string{"address": "yes: the certificate names the sender's e-mail address", "registered": "yes: the certificate is registered to the sender's account"},
		Events:          englishEvents(),
		Grades:          englishGrades(),
		Receipt:         englishReceipt(),
		Reports:         map[string]string{"notice-not-delivered": "The mail with the link could not be delivered."},
		SignerRules:     map[string]string{"": "One signer of each document has to be the sender.", "sender": "One signer of each document has to be the sender.", "any": "Every document has to be signed, by anybody with a trusted certificate."},
		RevocationRules: map[string]string{"": "Not passed.", "hard": "Not passed.", "soft": "Accepted and noted as not decided."},
		Open: map[string]string{
			openHeader: "the letter's header fields: sender, recipients, subject, date and others",
			openNote:   "covering text of the letter",
			openField:  "header field",
		},
	}
}

func englishVerdicts() map[rem.Verdict]sentence {
	return map[rem.Verdict]sentence{
		rem.Passed:        {"Verification passed", "Every signature is right, its certificate is trusted and was valid at the time of the check, and everything that had to be signed is signed."},
		rem.Failed:        {"Verification failed", "At least one signature is wrong, or something that had to be signed is not. Do not rely on these documents before this is cleared up."},
		rem.Indeterminate: {"Result not decided", "The signatures could be neither confirmed nor disproved. The reason is given below. Do not take this for a confirmation."},
		rem.Unsigned:      {"Not signed", "There is no signature that could be checked."},
	}
}

func englishIndications() map[string]string {
	return map[string]string{
		"TOTAL-PASSED":  "The signature is right: the content has not been changed since, and the certificate is trusted and was valid.",
		"TOTAL-FAILED":  "The signature is not accepted.",
		"INDETERMINATE": "The signature can be neither confirmed nor disproved with what is at hand.",
	}
}

func englishSubIndications() map[string]string {
	return map[string]string{
		"HASH_FAILURE":                      "The content was changed after signing, or the signature belongs to other content.",
		"SIG_CRYPTO_FAILURE":                "The signature does not fit the key in the signer's certificate.",
		"FORMAT_FAILURE":                    "The signature is not built as its standard demands.",
		"CRYPTO_CONSTRAINTS_FAILURE":        "The signature uses an algorithm or a key that is too weak or not supported.",
		"CRYPTO_CONSTRAINTS_FAILURE_NO_POE": "The algorithm is no longer accepted, and nothing proves that the signature was made while it was.",
		"CHAIN_CONSTRAINTS_FAILURE":         "A certificate in the chain is used in a way its issuer does not allow.",
		"EXPIRED":                           "The certificate had expired.",
		"NOT_YET_VALID":                     "The certificate was not valid yet.",
		"REVOKED":                           "The certificate has been revoked or suspended by its issuer.",
		"SIG_CONSTRAINTS_FAILURE":           "The signature breaks a rule of this gateway: for example the signer is not the sender, or attributes that have to be signed are missing.",
		"NO_CERTIFICATE_CHAIN_FOUND":        "The certificate was not issued by an authority that this gateway trusts.",
		"NO_SIGNING_CERTIFICATE_FOUND":      "The signer's certificate is missing.",
		"SIGNED_DATA_NOT_FOUND":             "The file to which the signature belongs is missing.",
		"TRY_LATER":                         "Whether the certificate has been revoked could not be found out now. A later check may decide it.",
	}
}

func englishReasons() map[rem.Reason]string {
	return map[rem.Reason]string{
		rem.ReasonSignatureFailed:   "a signature is wrong",
		rem.ReasonCertificateTime:   "a certificate was not valid at the time of the check",
		rem.ReasonSignerNotSender:   "the signer is not the sender",
		rem.ReasonSignerUnbound:     "the certificate names no e-mail address and is not registered to the sender",
		rem.ReasonNotCovered:        "something that is shown is not signed",
		rem.ReasonUntrusted:         "the issuer of a certificate is not trusted",
		rem.ReasonNoSignedAttrs:     "a signature has no signed attributes",
		rem.ReasonUnsupported:       "an algorithm is not supported",
		rem.ReasonNoCertificate:     "the signer's certificate is missing",
		rem.ReasonNoContent:         "a signed file is missing",
		rem.ReasonFrom:              "the letter's From is not the sender's address",
		rem.ReasonRevocationUnknown: "whether a certificate has been revoked is unknown",
		rem.ReasonUnsigned:          "nothing is signed",
		rem.ReasonEncrypted:         "the letter is encrypted and cannot be judged",
		rem.ReasonMalformed:         "the letter cannot be read",
	}
}

func englishChecks() map[string]string {
	return map[string]string{
		"format":                "The signature is well formed",
		"content":               "The signed file is at hand",
		"content-conflict":      "Only one signed content is present",
		"content-is-attributes": "The content cannot be mistaken for signed attributes",
		"content-type":          "The signed content type is right",
		"message-digest":        "The content is unchanged since signing",
		"signature":             "The signature fits the signer's key",
		"signed-content-type":   "The signed content is of an accepted kind",
		"signed-attributes":     "The attributes of the signature are signed too",
		"signer-certificate":    "The signer's certificate is present",
		"signer-identity":       "There is no doubt about who signed",
		"signing-certificate":   "The signature names the signer's certificate",
		"algorithm":             "The algorithm is supported and strong enough",
		"algorithm-protection":  "The algorithms are those that were signed",
		"path":                  "The certificate leads to a trusted authority",
		"path-algorithms":       "The algorithms of the certificates are strong enough",
		"validity":              "The certificates were valid at the time of the check",
		"basic-constraints":     "Only authorities issued certificates",
		"path-length":           "The chain is no longer than its authorities allow",
		"key-usage":             "The keys may be used for this",
		"extended-key-usage":    "The certificate is meant for signing mail or documents",
		"name-constraints":      "The names are those the authorities may certify",
		"critical-extensions":   "No unknown critical extension",
		"policy-constraints":    "The certificates demand no policy of their own",
		"names":                 "The names in the certificates are clean",
		"revocation":            "No certificate has been revoked",
		"signer-is-sender":      "The signer is the sender",
	}
}

func englishAnchorKinds() map[string]string {
	return map[string]string{
		"":            "No trusted authority was found above this certificate.",
		"qualified":   "Qualified: the authority is marked as qualified in this gateway.",
		"unqualified": "Not qualified: the authority is trusted by this gateway for unqualified signatures.",
		"foreign":     "Foreign: the authority belongs to another legal system and is trusted by this gateway.",
	}
}

func englishEvents() map[rem.Event]string {
	return map[rem.Event]string{
		rem.SubmissionAcceptance:             "Letter accepted from the sender",
		rem.SubmissionRejection:              "Letter refused to the sender",
		rem.SignatureRecheck:                 "Signatures checked again: revocation was unknown at acceptance",
		rem.NotificationForAcceptance:        "Recipient notified",
		rem.NotificationForAcceptanceFailure: "Notice could not be delivered",
		rem.ConsignmentAcceptance:            "Consignment accepted by the recipient",
		rem.ContentHandover:                  "Files received by the recipient",
		rem.AcceptanceRejectionExpiry:        "Link expired without acceptance",
		rem.RecipientVerification:            "Signatures verified by the recipient with his certificate",
	}
}

func englishGrades() map[rem.Grade]sentence {
	return map[rem.Grade]sentence{
		rem.GradeConfirmed: {"link and typed address", "Somebody who had the link from the notice typed the recipient's address and confirmed. This shows possession of the link, not who the person is."},
		rem.GradeCode:      {"one-time code", "The one-time code sent to the recipient's mailbox was entered."},
		rem.GradeSession:   {"own account", "Confirmed from the recipient's own account, after login."},
		rem.GradeSigned:    {"certificate", "Signed with the recipient's own certificate."},
	}
}
