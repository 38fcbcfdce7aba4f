package notify

func english() *words {
	return &words{
		Lang: "en",
		Months: [12]string{"January", "February", "March", "April", "May", "June", "July",
			"August", "September", "October", "November", "December"},

		Via:              "%s via %s",
		SubjectDocuments: "Signed documents",
		SubjectLetter:    "Signed letter",
		OpeningDocuments: "Electronically signed documents have been sent to you. They are handed over by Cryptogramm, a service for exchanging signed documents.",
		OpeningLetter:    "An electronically signed letter has been sent to you. It is handed over by Cryptogramm, a service for exchanging signed documents.",
		Checked:          "The signatures were checked when the letter was accepted from the sender. The page that opens shows the result, and you can check the signatures again.",
		Sender:           "Sender",
		Subject:          "Subject",
		Files:            "Files",
		More:             "and %d more",
		Address:          "Address",
		Open:             "View and receive",
		Continue:         "Finish the registration",
		Free:             "To receive the documents, open the link and confirm receipt. It is free, and you need not register.",
		Site:             "The link leads to %s. This mail has no attachments.",
		NotReceipt:       "Following the link is not in itself a receipt: the documents count as received only when you confirm it on the page that opens.",
		Until:            "The link is for you alone and works until %s. Do not forward this mail.",
		ReplyTo:          "To write to the sender, reply to this mail.",
		Unexpected:       "If you do not know the sender or expect no documents, confirm nothing: without your confirmation the consignment stays unreceived.",

		RegisterSubject:    "Finish your registration with Cryptogramm",
		RegisterOpening:    "This address was given for a registration with Cryptogramm. To confirm that it is yours and to set a password, open the link.",
		RegisterOnce:       "The link works once.",
		RegisterUntil:      "It works until %s.",
		RegisterUnexpected: "If you did not register, do nothing: without the link no account comes about. If you have one already, sign in with your password: the link changes nothing in it.",

		ResetSubject:    "A new password for Cryptogramm",
		ResetOpening:    "A new password was asked for the Cryptogramm account with this address. To set it, open the link.",
		NewPassword:     "Set a new password",
		ResetEnds:       "Once the password is changed you have to sign in again, on the site and in your mail program.",
		ResetUnexpected: "If you did not ask for it, do nothing: the password stays as it is.",

		ChangedSubject:    "Your Cryptogramm password was changed",
		ChangedOpening:    "The password of your Cryptogramm account was changed on %s.",
		AnotherPassword:   "Ask for another password",
		ChangedEnds:       "All open sessions have ended. Enter the new password in your mail program.",
		ChangedUnexpected: "If it was you, there is nothing more to do. If not, ask for another password at once, and see who else reads this mail.",
	}
}
