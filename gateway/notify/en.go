package notify

func english() *words {
	return &words{
		Lang: "en",
		Months: [12]string{"January", "February", "March", "April", "May", "June", "July",
			"August", "September", "October", "November", "December"},

		Via:              "%s via %s",
		SubjectDocuments: "Signed documents",
		SubjectLetter:    "Signed letter",
		OpeningDocuments: "Electronically signed documents have been sent to you.",
		OpeningLetter:    "An electronically signed letter has been sent to you.",
		Checked:          "The Cryptogramm gateway checked the signatures when it accepted the letter from the sender. The consignment's page shows the result, and you can check the signatures again.",
		Sender:           "Sender",
		Subject:          "Subject",
		Files:            "Files",
		More:             "and %d more",
		Address:          "Address",
		Open:             "Open the consignment",
		Continue:         "Finish the registration",
		NotReceipt:       "Following the link is not in itself a receipt: the documents count as received only when you confirm it on the page that opens.",
		Until:            "The link is for you alone and works until %s. Do not forward this mail.",
		ReplyTo:          "To write to the sender, reply to this mail.",
		Unexpected:       "If you do not know the sender or expect no documents, confirm nothing: without your confirmation the consignment stays unreceived.",

		RegisterSubject:    "Finish your registration with Cryptogramm",
		RegisterOpening:    "This address was given for a registration with Cryptogramm. To confirm that it is yours and to set a password, open the link.",
		RegisterOnce:       "The link works once.",
		RegisterUntil:      "It works until %s.",
		RegisterUnexpected: "If you did not register, do nothing: without the link no account comes about.",
	}
}
